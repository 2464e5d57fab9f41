#!/bin/sh
aws proton notify-resource-deployment-status-change --resource-arn "$RESOURCE_ARN" --status SUCCEEDED
