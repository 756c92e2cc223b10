variable "model_bucket" {
  type        = string
  description = "S3 bucket that holds the artifact, in the region of the endpoint"
}

variable "model_key" {
  type        = string
  description = "key of the artifact, such as bert-qa/HASH/model.tar.gz; a new artifact needs a new key"
  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]+/.*[.]tar[.]gz$", var.model_key))
    error_message = "The key must begin with a folder, which the role may read, and end with .tar.gz."
  }
}

variable "image_uri" {
  type        = string
  description = "image in ECR, in the region of the endpoint; it may be in another account"
}

variable "name" {
  type        = string
  default     = "bert-qa"
  description = "name of the endpoint"
}

variable "precisions" {
  type        = string
  default     = "auto"
  description = "the container's setting PRECISIONS: auto, or a list such as INT8,FP32"
}

variable "instance_type" {
  type        = string
  default     = "ml.c6i.2xlarge"
  description = "instance type"
}

variable "instances" {
  type        = number
  default     = 1
  description = "number of instances; the minimum if they scale"
}

variable "max_instances" {
  type        = number
  default     = 1
  description = "scale out to at most this many instances; 1 for no scaling"
}

variable "scale_target" {
  type        = number
  default     = 600
  description = "invocations per minute that each instance should have; half of the measured maximum is a good value"
}

variable "startup_seconds" {
  type        = number
  default     = 600
  description = "time limit until the container is ready"
}

variable "rollback_alarm" {
  type        = bool
  default     = false
  description = "roll an update back if too many answers are 5xx within 5 minutes"
}

variable "alarms" {
  type        = bool
  default     = false
  description = "alarms on errors, latency, refusals, lost lanes and the guard; a dashboard"
}

variable "alarm_topic" {
  type        = string
  default     = ""
  description = "ARN of the SNS topic that the alarms notify; none if empty"
}

variable "tags" {
  type        = map(string)
  default     = {}
  description = "tags for everything that is created"
}
