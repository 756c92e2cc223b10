"""The constants of SageMaker's hosting contract, and the server's own constants that follow from them.

Unless a line names another source, the source is
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
"""

PORT = 8080  # "listen on port 8080"
MODEL_DIR = "/opt/ml/model"  # SageMaker extracts model.tar.gz here and mounts it read-only.
MULTI_MODEL_DIR = "/opt/ml/models"  # On a multi-model endpoint, SageMaker downloads the models into folders below.
RESPONSE_TIMEOUT_SECONDS = 60  # "respond to requests within 60 seconds"
# The platform's clock starts with the connection, before the server's. The server must answer 504 before it ends.
REQUEST_TIMEOUT_SECONDS = 55
BATCH_TIMEOUT_SECONDS = 3600  # The largest InvocationsTimeoutInSeconds that CreateTransformJob accepts.
ASYNC_TIMEOUT_SECONDS = 3600  # The largest InvocationTimeoutSeconds that InvokeEndpointAsync accepts.
STOP_TIMEOUT_SECONDS = 30  # SageMaker sends SIGKILL this long after SIGTERM.
MAX_PAYLOAD_MB = 25  # For real-time endpoints: https://docs.aws.amazon.com/sagemaker/latest/dg/hosting-faqs.html
ERROR_BODY_BYTES = 2048  # ModelError.OriginalMessage keeps this much of an error's body.

# The exit codes are those of BSD's sysexits.h, so a supervisor can tell a bad setting from a bad artifact.
EXIT_TOO_SMALL = 1  # of `--plan` only
EXIT_USAGE = 64
EXIT_CPU = 69
EXIT_ARTIFACT = 70
EXIT_NO_LANES = 75  # EX_TEMPFAIL: the same server may work when it is started again
EXIT_SETTINGS = 78

# The server must stop within STOP_TIMEOUT_SECONDS: uvicorn finishes accepted requests first, then gunicorn ends it.
DRAIN_SECONDS = 23
GRACEFUL_TIMEOUT_SECONDS = 25

VERSION = "0.1.0"  # The version of this program.
