"""Access to what runs outside the tool's own process: servers, SageMaker endpoints, AWS, and objects in S3."""
