"""Create an endpoint with version 2 of the SageMaker Python SDK, ask it a question, and remove it again.

First upload the artifact and push the image, as the comment at the top of deploy/cloudformation.yaml shows. The role is
an execution role for SageMaker that may read the artifact, pull the image and write logs. HASH is the first part of KEY
in that comment. Then, in this folder:

    python -m venv .venv && .venv/bin/pip install -r requirements-v2.txt
    .venv/bin/python deploy_v2.py --image-uri IMAGE --model-data s3://BUCKET/bert-qa/HASH/model.tar.gz --role ROLE_ARN

If the creation fails, remove the model, the configuration and the endpoint yourself. A test runs this program against
moto. Nobody has run it on the real AWS. Unlike the tool, the SDK cannot turn off
detailed observability, which AWS bills by the GB.
"""

import argparse

from sagemaker.deserializers import JSONDeserializer
from sagemaker.model import Model
from sagemaker.predictor import Predictor
from sagemaker.serializers import JSONSerializer

QUESTION = {"question": "Who built the lighthouse?", "context": "The lighthouse was built by Zoë Müller in 1871."}


def main() -> None:
    """Create the endpoint, print an answer, and remove everything unless --keep is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image-uri", required=True, help="image in ECR")
    parser.add_argument("--model-data", required=True, help="s3:// URI of model.tar.gz")
    parser.add_argument("--role", required=True, help="ARN of the execution role")
    parser.add_argument("--name", default="bert-qa", help="name of the endpoint")
    parser.add_argument("--instance-type", default="ml.c6i.2xlarge", help="instance type")
    parser.add_argument("--keep", action="store_true", help="leave the endpoint running")
    arguments = parser.parse_args()

    model = Model(
        image_uri=arguments.image_uri,
        model_data=arguments.model_data,
        role=arguments.role,
        env={"PRECISIONS": "auto"},  # docs/settings.md lists all settings of the container.
        enable_network_isolation=True,
        predictor_cls=Predictor,
    )
    predictor = model.deploy(
        initial_instance_count=1,
        instance_type=arguments.instance_type,
        endpoint_name=arguments.name,
        container_startup_health_check_timeout=600,
        serializer=JSONSerializer(),
        deserializer=JSONDeserializer(),
        # Requests differ in length: an instance that is chosen at random may have the longest queue.
        routing_config={"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
    )
    try:
        print(predictor.predict(QUESTION)["answer"])
    finally:
        if not arguments.keep:
            predictor.delete_endpoint(delete_endpoint_config=True)
            model.delete_model()


if __name__ == "__main__":
    main()
