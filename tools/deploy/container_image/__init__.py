"""The container image: docker or podman, the login to ECR, and the image of a deployment."""
