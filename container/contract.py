"""Constants of SageMaker's hosting contract, each with its source.

Source of all: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
"""

PORT = 8080  # "listen on port 8080"
MODEL_DIR = "/opt/ml/model"  # model.tar.gz is extracted here, read-only
RESPONSE_TIMEOUT_SECONDS = 60  # "respond to requests within 60 seconds"
BATCH_TIMEOUT_SECONDS = 3600  # the largest InvocationsTimeoutInSeconds of CreateTransformJob
STOP_TIMEOUT_SECONDS = 30  # SIGKILL comes this long after SIGTERM
MAX_PAYLOAD_MB = 25  # real-time endpoints: https://docs.aws.amazon.com/sagemaker/latest/dg/hosting-faqs.html
ERROR_BODY_BYTES = 2048  # ModelError.OriginalMessage keeps no more of an error body

# Exit codes after BSD's sysexits.h; a supervisor can tell a bad setting from a bad artifact.
EXIT_USAGE = 64
EXIT_CPU = 69
EXIT_ARTIFACT = 70
EXIT_SETTINGS = 78

# Our own share of the 30 s between SIGTERM and SIGKILL: uvicorn drains for 23 s inside gunicorn's 25 s.
DRAIN_SECONDS = 23
GRACEFUL_TIMEOUT_SECONDS = 25

VERSION = "0.1.0"  # of this program
