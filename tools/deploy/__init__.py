"""From an artifact to a SageMaker endpoint and back: plan, up, status, down."""
