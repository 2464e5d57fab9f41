#!/bin/bash
set -e
jq . proton-inputs.json
aws proton notify-resource-deployment-status-change --resource-arn $RESOURCE_ARN --outputs file://./outputs.json
