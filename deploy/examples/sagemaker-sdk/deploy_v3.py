"""Create an endpoint with version 3 of the SageMaker Python SDK, ask it a question, and remove it again.

Version 3 has no Model.deploy. Its classes for AWS's resources take the parameters of AWS's API, in snake_case.

First upload the artifact and push the image, as the comment at the top of deploy/cloudformation.yaml shows. The role is
an execution role for SageMaker that may read the artifact, pull the image and write logs. HASH is the first part of KEY
in that comment. Then, in this folder:

    python -m venv .venv && .venv/bin/pip install -r requirements-v3.txt
    .venv/bin/python deploy_v3.py --image-uri IMAGE --model-data s3://BUCKET/bert-qa/HASH/model.tar.gz --role ROLE_ARN

If the creation fails, remove the model, the configuration and the endpoint yourself. A test runs this program against
moto. Nobody has run it on the real AWS.
"""

import argparse
import json

from sagemaker.core.resources import Endpoint, EndpointConfig, Model
from sagemaker.core.shapes import ContainerDefinition, MetricsConfig, ProductionVariant, ProductionVariantRoutingConfig

QUESTION = {"question": "Who built the lighthouse?", "context": "The lighthouse was built by Zoë Müller in 1871."}


def main() -> None:
    """Create the endpoint, print an answer, and remove everything unless --keep is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image-uri", required=True, help="image in ECR")
    parser.add_argument("--model-data", required=True, help="s3:// URI of model.tar.gz")
    parser.add_argument("--role", required=True, help="ARN of the execution role")
    parser.add_argument("--name", default="bert-qa", help="name of the endpoint, its configuration and its model")
    parser.add_argument("--instance-type", default="ml.c6i.2xlarge", help="instance type")
    parser.add_argument("--keep", action="store_true", help="leave the endpoint running")
    arguments = parser.parse_args()

    model = Model.create(
        model_name=arguments.name,
        primary_container=ContainerDefinition(
            image=arguments.image_uri,
            model_data_url=arguments.model_data,
            environment={"PRECISIONS": "auto"},  # docs/settings.md lists all settings of the container.
        ),
        execution_role_arn=arguments.role,
        enable_network_isolation=True,
    )
    variant = ProductionVariant(
        variant_name="AllTraffic",
        model_name=arguments.name,
        instance_type=arguments.instance_type,
        initial_instance_count=1,
        container_startup_health_check_timeout_in_seconds=600,
        # Requests differ in length: an instance that is chosen at random may have the longest queue.
        routing_config=ProductionVariantRoutingConfig(routing_strategy="LEAST_OUTSTANDING_REQUESTS"),
    )
    config = EndpointConfig.create(
        endpoint_config_name=arguments.name,
        production_variants=[variant],
        metrics_config=MetricsConfig(enable_detailed_observability=False),  # AWS bills it by the GB.
    )
    endpoint = Endpoint.create(endpoint_name=arguments.name, endpoint_config_name=arguments.name)
    try:
        endpoint.wait_for_status("InService")
        answer = endpoint.invoke(body=json.dumps(QUESTION), content_type="application/json")
        print(json.loads(answer.body.read())["answer"])
    finally:
        if not arguments.keep:
            for resource in (endpoint, config, model):
                resource.delete()


if __name__ == "__main__":
    main()
