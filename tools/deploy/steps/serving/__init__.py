"""Steps for what answers questions: models, the endpoint and what belongs to it, or a batch transform job."""
