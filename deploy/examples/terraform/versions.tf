terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0" # The first version in which the data source aws_region has the attribute region.
    }
  }
}
