"""Deployment of an artifact to SageMaker: the commands plan, up, status and down."""
