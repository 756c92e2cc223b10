"""Steps for what SageMaker needs before it can create a model: the artifact in S3, the image in ECR, and the role."""
