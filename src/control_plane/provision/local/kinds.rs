//! Types of resources: what `Ref` and the attributes of each look like.
//!
//! A form is text with blanks. `{name}` is the resource's name, `{ref}` what `Ref` of it is, `{hex17}` made up, `{Port|80}` the
//! property of that name or else a default; a form in brackets is a list. Types that are not listed get a form that suits most.

/// A type of resources.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    kind: &'static str,
    /// The property that names such a resource.
    pub(super) name: &'static str,
    /// The longest name, in characters.
    pub(super) longest: usize,
    /// Whether names are in lower case.
    pub(super) lower: bool,
    pub(super) reference: &'static str,
    pub(super) attributes: &'static [(&'static str, &'static str)],
}

/// A type whose `Ref` is the name.
const fn named(kind: &'static str, name: &'static str) -> Kind {
    Kind {
        kind,
        name,
        longest: 128,
        lower: false,
        reference: "{name}",
        attributes: &[],
    }
}

/// A type whose `Ref` is made up.
const fn made(kind: &'static str, reference: &'static str) -> Kind {
    Kind {
        reference,
        ..named(kind, "Name")
    }
}

impl Kind {
    const fn up_to(self, longest: usize) -> Self {
        Self { longest, ..self }
    }

    const fn lower(self) -> Self {
        Self {
            lower: true,
            ..self
        }
    }

    /// A type whose `Ref` is something other than its name.
    const fn known_by(self, reference: &'static str) -> Self {
        Self { reference, ..self }
    }

    const fn with(self, attributes: &'static [(&'static str, &'static str)]) -> Self {
        Self { attributes, ..self }
    }
}

/// What is known of a type.
pub(super) fn kind(kind: &str) -> Kind {
    let listed = KINDS.iter().find(|listed| listed.kind == kind);
    listed.copied().unwrap_or(if kind.starts_with("Custom::") {
        made("", "{stack}-{logical}-{upper12}")
    } else {
        named("", "Name")
    })
}

/// The form that the name of an attribute suggests.
pub(super) fn likely_form(attribute: &str) -> &'static str {
    let last = attribute.rsplit('.').next().unwrap_or(attribute);
    let ends = |endings: &[&str]| endings.iter().any(|ending| last.ends_with(ending));
    if ends(&["Arn", "ARN"]) {
        "arn:{partition}:{service}:{region}:{account}:{thing}/{ref}"
    } else if ends(&["Url", "URL", "Uri", "URI"]) {
        "https://{lower10}.{service}.{region}.{suffix}/"
    } else if ends(&[
        "Address",
        "Endpoint",
        "EndPoint",
        "DNSName",
        "DnsName",
        "DomainName",
    ]) {
        "{label}.{lower10}.{service}.{region}.{suffix}"
    } else if ends(&["Port"]) {
        "443"
    } else if ends(&["Ip", "IpAddress"]) {
        "{ip}"
    } else if ends(&["Name"]) {
        "{ref}"
    } else if ends(&["Version", "VersionNumber"]) {
        "1"
    } else if ends(&["Status", "State"]) {
        "ACTIVE"
    } else if ends(&["Id", "ID"]) {
        "{thing}-{hex17}"
    } else {
        "{logical}-{attribute}-{hex8}"
    }
}

const KINDS: &[Kind] = &[
    // Network
    made("AWS::EC2::VPC", "vpc-{hex17}").with(&[
        ("VpcId", "{ref}"),
        ("CidrBlockAssociations", "[vpc-cidr-assoc-{hex17}]"),
        ("DefaultNetworkAcl", "acl-{hex17}"),
        ("DefaultSecurityGroup", "sg-{hex17}"),
        ("Ipv6CidrBlocks", "[2001:db8:{hex4}:{hex2}00::/56]"),
    ]),
    made("AWS::EC2::Subnet", "subnet-{hex17}").with(&[
        ("SubnetId", "{ref}"),
        ("AvailabilityZone", "{region}a"),
        ("NetworkAclAssociationId", "aclassoc-{hex17}"),
        ("Ipv6CidrBlocks", "[2001:db8:{hex4}:{hex4}::/64]"),
    ]),
    made("AWS::EC2::InternetGateway", "igw-{hex17}").with(&[("InternetGatewayId", "{ref}")]),
    made("AWS::EC2::EgressOnlyInternetGateway", "eigw-{hex17}"),
    made("AWS::EC2::RouteTable", "rtb-{hex17}").with(&[("RouteTableId", "{ref}")]),
    made("AWS::EC2::SubnetRouteTableAssociation", "rtbassoc-{hex17}").with(&[("Id", "{ref}")]),
    made("AWS::EC2::EIP", "{ip}").with(&[
        ("PublicIp", "{ref}"),
        ("AllocationId", "eipalloc-{hex17}"),
    ]),
    made("AWS::EC2::NatGateway", "nat-{hex17}").with(&[
        ("NatGatewayId", "{ref}"),
        ("EniId", "eni-{hex17}"),
    ]),
    made("AWS::EC2::SecurityGroup", "sg-{hex17}").with(&[
        ("GroupId", "{ref}"),
        ("Id", "{ref}"),
        ("VpcId", "vpc-{hex17}"),
    ]),
    made("AWS::EC2::SecurityGroupIngress", "sgr-{hex17}"),
    made("AWS::EC2::SecurityGroupEgress", "sgr-{hex17}"),
    made("AWS::EC2::NetworkAcl", "acl-{hex17}").with(&[("Id", "{ref}")]),
    made("AWS::EC2::NetworkInterface", "eni-{hex17}"),
    made("AWS::EC2::VPCEndpoint", "vpce-{hex17}").with(&[
        ("Id", "{ref}"),
        ("CreationTimestamp", "Thu Jan 01 00:00:00 UTC 2026"),
        ("NetworkInterfaceIds", "[eni-{hex17},eni-{hex17}]"),
        ("DnsEntries", "[Z7HUB22UULQXV:{ref}-{hex8}.vpce.{suffix}]"),
    ]),
    made("AWS::EC2::VPCPeeringConnection", "pcx-{hex17}"),
    made("AWS::EC2::VPNGateway", "vgw-{hex17}"),
    made("AWS::EC2::TransitGateway", "tgw-{hex17}"),
    made("AWS::EC2::FlowLog", "fl-{hex17}"),
    made("AWS::EC2::Volume", "vol-{hex17}"),
    made("AWS::EC2::LaunchTemplate", "lt-{hex17}").with(&[
        ("LaunchTemplateId", "{ref}"),
        ("DefaultVersionNumber", "1"),
        ("LatestVersionNumber", "1"),
    ]),
    made("AWS::EC2::Instance", "i-{hex17}").with(&[
        ("InstanceId", "{ref}"),
        ("AvailabilityZone", "{region}a"),
        ("PrivateDnsName", "ip-{hex8}.{region}.compute.internal"),
        ("PublicDnsName", "ec2-{hex8}.{region}.compute.{suffix}"),
        ("PrivateIp", "{ip}"),
        ("PublicIp", "{ip}"),
    ]),
    // Identity
    named("AWS::IAM::Role", "RoleName").up_to(64).with(&[
        ("Arn", "arn:{partition}:iam::{account}:role{Path|/}{ref}"),
        ("RoleId", "AROA{upper17}"),
    ]),
    named("AWS::IAM::User", "UserName").up_to(64)
        .with(&[("Arn", "arn:{partition}:iam::{account}:user{Path|/}{ref}")]),
    named("AWS::IAM::Group", "GroupName")
        .with(&[("Arn", "arn:{partition}:iam::{account}:group{Path|/}{ref}")]),
    named("AWS::IAM::InstanceProfile", "InstanceProfileName")
        .with(&[("Arn", "arn:{partition}:iam::{account}:instance-profile{Path|/}{ref}")]),
    named("AWS::IAM::ManagedPolicy", "ManagedPolicyName")
        .known_by("arn:{partition}:iam::{account}:policy{Path|/}{name}")
        .with(&[("PolicyArn", "{ref}"), ("PolicyId", "ANPA{upper17}")]),
    named("AWS::IAM::Policy", "Id").with(&[("Id", "{ref}")]),
    made("AWS::IAM::AccessKey", "AKIA{upper16}").with(&[("SecretAccessKey", "{lower40}")]),
    made("AWS::IAM::OIDCProvider", "arn:{partition}:iam::{account}:oidc-provider/{label}")
        .with(&[("Arn", "{ref}")]),
    // Containers
    named("AWS::ECS::Cluster", "ClusterName")
        .with(&[("Arn", "arn:{partition}:ecs:{region}:{account}:cluster/{ref}")]),
    named("AWS::ECS::Service", "ServiceName")
        .known_by("arn:{partition}:ecs:{region}:{account}:service/{Cluster|default}/{name}")
        .with(&[("Name", "{name}"), ("ServiceArn", "{ref}")]),
    named("AWS::ECS::TaskDefinition", "Family")
        .known_by("arn:{partition}:ecs:{region}:{account}:task-definition/{name}:1")
        .with(&[("TaskDefinitionArn", "{ref}")]),
    named("AWS::ECR::Repository", "RepositoryName").lower().with(&[
        ("Arn", "arn:{partition}:ecr:{region}:{account}:repository/{ref}"),
        ("RepositoryUri", "{account}.dkr.ecr.{region}.{suffix}/{ref}"),
    ]),
    named("AWS::EKS::Cluster", "Name").with(&[
        ("Arn", "arn:{partition}:eks:{region}:{account}:cluster/{ref}"),
        ("Endpoint", "https://{hex32}.gr7.{region}.eks.{suffix}"),
        ("ClusterSecurityGroupId", "sg-{hex17}"),
        ("OpenIdConnectIssuerUrl", "https://oidc.eks.{region}.{suffix}/id/{upper32}"),
    ]),
    named("AWS::AppRunner::Service", "ServiceName")
        .known_by("arn:{partition}:apprunner:{region}:{account}:service/{name}/{hex32}")
        .with(&[
            ("ServiceArn", "{ref}"),
            ("ServiceId", "{hex32}"),
            ("ServiceUrl", "{lower10}.{region}.awsapprunner.com"),
        ]),
    named("AWS::AppRunner::VpcConnector", "VpcConnectorName")
        .known_by("arn:{partition}:apprunner:{region}:{account}:vpcconnector/{name}/1/{hex32}")
        .with(&[("VpcConnectorArn", "{ref}"), ("VpcConnectorRevision", "1")]),
    // Delivery
    named("AWS::CodeBuild::Project", "Name")
        .with(&[("Arn", "arn:{partition}:codebuild:{region}:{account}:project/{ref}")]),
    named("AWS::CodePipeline::Pipeline", "Name").with(&[
        ("Arn", "arn:{partition}:codepipeline:{region}:{account}:{ref}"),
        ("Version", "1"),
    ]),
    named("AWS::CodeDeploy::Application", "ApplicationName"),
    named("AWS::CodeDeploy::DeploymentGroup", "DeploymentGroupName"),
    named("AWS::CodeCommit::Repository", "RepositoryName").known_by("{uuid}").with(&[
        ("Arn", "arn:{partition}:codecommit:{region}:{account}:{name}"),
        ("CloneUrlHttp", "https://git-codecommit.{region}.{suffix}/v1/repos/{name}"),
        ("CloneUrlSsh", "ssh://git-codecommit.{region}.{suffix}/v1/repos/{name}"),
        ("Name", "{name}"),
    ]),
    made(
        "AWS::CodeStarConnections::Connection",
        "arn:{partition}:codestar-connections:{region}:{account}:connection/{uuid}",
    )
    .with(&[("ConnectionArn", "{ref}"), ("ConnectionStatus", "PENDING")]),
    // Load balancing and scaling
    named("AWS::ElasticLoadBalancingV2::LoadBalancer", "Name").up_to(32)
        .known_by("arn:{partition}:elasticloadbalancing:{region}:{account}:loadbalancer/app/{name}/{own}")
        .with(&[
            ("LoadBalancerArn", "{ref}"),
            ("DNSName", "{label}-{digits10}.{region}.elb.{suffix}"),
            ("CanonicalHostedZoneID", "Z{upper13}"),
            ("LoadBalancerName", "{name}"),
            ("LoadBalancerFullName", "app/{name}/{own}"),
            ("SecurityGroups", "[sg-{hex17}]"),
        ]),
    named("AWS::ElasticLoadBalancingV2::TargetGroup", "Name").up_to(32)
        .known_by("arn:{partition}:elasticloadbalancing:{region}:{account}:targetgroup/{name}/{own}")
        .with(&[
            ("TargetGroupArn", "{ref}"),
            ("TargetGroupName", "{name}"),
            ("TargetGroupFullName", "targetgroup/{name}/{own}"),
            ("LoadBalancerArns", "[arn:{partition}:elasticloadbalancing:{region}:{account}:loadbalancer/app/{name}/{own}]"),
        ]),
    made(
        "AWS::ElasticLoadBalancingV2::Listener",
        "arn:{partition}:elasticloadbalancing:{region}:{account}:listener/app/{name}/{own}/{hex16}",
    )
    .up_to(32)
    .with(&[("ListenerArn", "{ref}")]),
    made(
        "AWS::ElasticLoadBalancingV2::ListenerRule",
        "arn:{partition}:elasticloadbalancing:{region}:{account}:listener-rule/app/{name}/{own}/{hex16}/{lower14}",
    )
    .up_to(32)
    .with(&[("RuleArn", "{ref}"), ("IsDefault", "false")]),
    named("AWS::ElasticLoadBalancing::LoadBalancer", "LoadBalancerName").up_to(32).with(&[
        ("DNSName", "{label}-{digits10}.{region}.elb.{suffix}"),
        ("CanonicalHostedZoneNameID", "Z{upper13}"),
    ]),
    named("AWS::AutoScaling::AutoScalingGroup", "AutoScalingGroupName").with(&[(
        "AutoScalingGroupARN",
        "arn:{partition}:autoscaling:{region}:{account}:autoScalingGroup:{uuid}:autoScalingGroupName/{ref}",
    )]),
    named("AWS::AutoScaling::LaunchConfiguration", "LaunchConfigurationName"),
    made(
        "AWS::AutoScaling::ScalingPolicy",
        "arn:{partition}:autoscaling:{region}:{account}:scalingPolicy:{uuid}:autoScalingGroupName/{AutoScalingGroupName|group}:policyName/{name}",
    ),
    made(
        "AWS::ApplicationAutoScaling::ScalableTarget",
        "{ResourceId|resource}|{ScalableDimension|dimension}|{ServiceNamespace|ecs}",
    ),
    named("AWS::ApplicationAutoScaling::ScalingPolicy", "PolicyName")
        .known_by("arn:{partition}:autoscaling:{region}:{account}:scalingPolicy:{uuid}:resource/{ServiceNamespace|ecs}:policyName/{name}")
        .with(&[("Arn", "{ref}")]),
    // Functions and APIs
    named("AWS::Lambda::Function", "FunctionName").up_to(64)
        .with(&[("Arn", "arn:{partition}:lambda:{region}:{account}:function:{ref}")]),
    made(
        "AWS::Lambda::Alias",
        "arn:{partition}:lambda:{region}:{account}:function:{FunctionName|function}:{Name|live}",
    )
    .with(&[("AliasArn", "{ref}")]),
    made(
        "AWS::Lambda::Version",
        "arn:{partition}:lambda:{region}:{account}:function:{FunctionName|function}:1",
    )
    .with(&[("FunctionArn", "{ref}"), ("Version", "1")]),
    made("AWS::Lambda::Permission", "{stack}-{logical}-{upper12}").with(&[("Id", "{ref}")]),
    made("AWS::Lambda::EventSourceMapping", "{uuid}").with(&[
        ("Id", "{ref}"),
        ("EventSourceMappingArn", "arn:{partition}:lambda:{region}:{account}:event-source-mapping:{ref}"),
    ]),
    named("AWS::Lambda::LayerVersion", "LayerName").up_to(64)
        .known_by("arn:{partition}:lambda:{region}:{account}:layer:{name}:1")
        .with(&[("LayerVersionArn", "{ref}")]),
    made("AWS::Lambda::Url", "arn:{partition}:lambda:{region}:{account}:function:{FunctionName|function}").with(&[
        ("FunctionArn", "{ref}"),
        ("FunctionUrl", "https://{lower32}.lambda-url.{region}.on.aws/"),
    ]),
    made("AWS::ApiGateway::RestApi", "{lower10}")
        .with(&[("RestApiId", "{ref}"), ("RootResourceId", "{lower10}")]),
    named("AWS::ApiGateway::Stage", "StageName"),
    made("AWS::ApiGateway::Deployment", "{lower6}").with(&[("DeploymentId", "{ref}")]),
    made("AWS::ApiGateway::Resource", "{lower6}").with(&[("ResourceId", "{ref}")]),
    made("AWS::ApiGateway::VpcLink", "{lower6}"),
    made("AWS::ApiGateway::Authorizer", "{lower6}"),
    made("AWS::ApiGatewayV2::Api", "{lower10}").with(&[
        ("ApiId", "{ref}"),
        ("ApiEndpoint", "https://{ref}.execute-api.{region}.{suffix}"),
    ]),
    named("AWS::ApiGatewayV2::Stage", "StageName"),
    made("AWS::ApiGatewayV2::VpcLink", "{lower6}"),
    made("AWS::ApiGatewayV2::Integration", "{lower7}"),
    made("AWS::ApiGatewayV2::Route", "{lower7}"),
    named("AWS::StepFunctions::StateMachine", "StateMachineName").up_to(80)
        .known_by("arn:{partition}:states:{region}:{account}:stateMachine:{name}")
        .with(&[("Arn", "{ref}"), ("Name", "{name}")]),
    // Storage and data
    named("AWS::S3::Bucket", "BucketName").up_to(63).lower().with(&[
        ("Arn", "arn:{partition}:s3:::{ref}"),
        ("DomainName", "{ref}.s3.{suffix}"),
        ("DualStackDomainName", "{ref}.s3.dualstack.{region}.{suffix}"),
        ("RegionalDomainName", "{ref}.s3.{region}.{suffix}"),
        ("WebsiteURL", "http://{ref}.s3-website-{region}.{suffix}"),
    ]),
    named("AWS::S3::BucketPolicy", "Bucket"),
    named("AWS::DynamoDB::Table", "TableName").with(&[
        ("Arn", "arn:{partition}:dynamodb:{region}:{account}:table/{ref}"),
        ("StreamArn", "arn:{partition}:dynamodb:{region}:{account}:table/{ref}/stream/2026-01-01T00:00:00.000"),
    ]),
    named("AWS::RDS::DBInstance", "DBInstanceIdentifier").up_to(63).lower().with(&[
        ("DBInstanceArn", "arn:{partition}:rds:{region}:{account}:db:{ref}"),
        ("DbiResourceId", "db-{upper26}"),
        ("Endpoint.Address", "{ref}.{lower12}.{region}.rds.{suffix}"),
        ("Endpoint.Port", "{Port|3306}"),
        ("Endpoint.HostedZoneId", "Z{upper13}"),
        ("MasterUserSecret.SecretArn", "arn:{partition}:secretsmanager:{region}:{account}:secret:rds!db-{uuid}-{hex6}"),
    ]),
    named("AWS::RDS::DBCluster", "DBClusterIdentifier").up_to(63).lower().with(&[
        ("DBClusterArn", "arn:{partition}:rds:{region}:{account}:cluster:{ref}"),
        ("DBClusterResourceId", "cluster-{upper26}"),
        ("Endpoint.Address", "{ref}.cluster-{lower12}.{region}.rds.{suffix}"),
        ("Endpoint.Port", "{Port|3306}"),
        ("ReadEndpoint.Address", "{ref}.cluster-ro-{lower12}.{region}.rds.{suffix}"),
        ("MasterUserSecret.SecretArn", "arn:{partition}:secretsmanager:{region}:{account}:secret:rds!cluster-{uuid}-{hex6}"),
    ]),
    named("AWS::RDS::DBSubnetGroup", "DBSubnetGroupName").lower(),
    named("AWS::RDS::DBParameterGroup", "DBParameterGroupName").lower(),
    named("AWS::RDS::DBClusterParameterGroup", "DBClusterParameterGroupName").lower(),
    named("AWS::ElastiCache::ReplicationGroup", "ReplicationGroupId").up_to(40).lower().with(&[
        ("PrimaryEndPoint.Address", "{ref}.{lower6}.ng.0001.cache.{suffix}"),
        ("PrimaryEndPoint.Port", "{Port|6379}"),
        ("ReaderEndPoint.Address", "{ref}-ro.{lower6}.ng.0001.cache.{suffix}"),
        ("ReaderEndPoint.Port", "{Port|6379}"),
        ("ConfigurationEndPoint.Address", "clustercfg.{ref}.{lower6}.cache.{suffix}"),
        ("ConfigurationEndPoint.Port", "{Port|6379}"),
    ]),
    named("AWS::ElastiCache::CacheCluster", "ClusterName").up_to(40).lower().with(&[
        ("RedisEndpoint.Address", "{ref}.{lower6}.0001.cache.{suffix}"),
        ("RedisEndpoint.Port", "{Port|6379}"),
        ("ConfigurationEndpoint.Address", "{ref}.{lower6}.cfg.cache.{suffix}"),
        ("ConfigurationEndpoint.Port", "{Port|11211}"),
    ]),
    made("AWS::EFS::FileSystem", "fs-{hex17}").with(&[
        ("FileSystemId", "{ref}"),
        ("Arn", "arn:{partition}:elasticfilesystem:{region}:{account}:file-system/{ref}"),
    ]),
    made("AWS::EFS::AccessPoint", "fsap-{hex17}").with(&[
        ("AccessPointId", "{ref}"),
        ("Arn", "arn:{partition}:elasticfilesystem:{region}:{account}:access-point/{ref}"),
    ]),
    made("AWS::EFS::MountTarget", "fsmt-{hex17}"),
    named("AWS::OpenSearchService::Domain", "DomainName").up_to(28).lower().with(&[
        ("Arn", "arn:{partition}:es:{region}:{account}:domain/{ref}"),
        ("DomainArn", "arn:{partition}:es:{region}:{account}:domain/{ref}"),
        ("DomainEndpoint", "search-{ref}-{lower26}.{region}.es.{suffix}"),
    ]),
    // Messages and events
    named("AWS::SNS::Topic", "TopicName")
        .known_by("arn:{partition}:sns:{region}:{account}:{name}")
        .with(&[("TopicArn", "{ref}"), ("TopicName", "{name}")]),
    made("AWS::SNS::Subscription", "{TopicArn|topic}:{uuid}"),
    named("AWS::SQS::Queue", "QueueName").up_to(80)
        .known_by("https://sqs.{region}.{suffix}/{account}/{name}")
        .with(&[
            ("Arn", "arn:{partition}:sqs:{region}:{account}:{name}"),
            ("QueueName", "{name}"),
            ("QueueUrl", "{ref}"),
        ]),
    named("AWS::Events::Rule", "Name").up_to(64)
        .with(&[("Arn", "arn:{partition}:events:{region}:{account}:rule/{ref}")]),
    named("AWS::Events::EventBus", "Name")
        .with(&[("Arn", "arn:{partition}:events:{region}:{account}:event-bus/{ref}")]),
    named("AWS::Kinesis::Stream", "Name")
        .with(&[("Arn", "arn:{partition}:kinesis:{region}:{account}:stream/{ref}")]),
    named("AWS::KinesisFirehose::DeliveryStream", "DeliveryStreamName").up_to(64)
        .with(&[("Arn", "arn:{partition}:firehose:{region}:{account}:deliverystream/{ref}")]),
    // Keys, secrets, settings, logs
    made("AWS::KMS::Key", "{uuid}").with(&[
        ("Arn", "arn:{partition}:kms:{region}:{account}:key/{ref}"),
        ("KeyId", "{ref}"),
    ]),
    named("AWS::KMS::Alias", "AliasName"),
    named("AWS::SecretsManager::Secret", "Name")
        .known_by("arn:{partition}:secretsmanager:{region}:{account}:secret:{name}-{lower6}")
        .with(&[("Id", "{ref}")]),
    named("AWS::SSM::Parameter", "Name").with(&[("Type", "String")]),
    named("AWS::Logs::LogGroup", "LogGroupName")
        .with(&[("Arn", "arn:{partition}:logs:{region}:{account}:log-group:{ref}:*")]),
    named("AWS::CloudWatch::Alarm", "AlarmName")
        .with(&[("Arn", "arn:{partition}:cloudwatch:{region}:{account}:alarm:{ref}")]),
    named("AWS::CloudWatch::Dashboard", "DashboardName"),
    // Names and the edge
    made("AWS::Route53::HostedZone", "Z{upper20}").with(&[
        ("Id", "{ref}"),
        ("NameServers", "[ns-1.awsdns-00.com,ns-2.awsdns-01.net,ns-3.awsdns-02.org,ns-4.awsdns-03.co.uk]"),
    ]),
    named("AWS::Route53::RecordSet", "Name"),
    made("AWS::CertificateManager::Certificate", "arn:{partition}:acm:{region}:{account}:certificate/{uuid}")
        .with(&[("CertificateArn", "{ref}")]),
    made("AWS::CloudFront::Distribution", "E{upper13}").with(&[
        ("Id", "{ref}"),
        ("DomainName", "d{lower13}.cloudfront.net"),
    ]),
    made("AWS::CloudFront::CloudFrontOriginAccessIdentity", "E{upper13}")
        .with(&[("Id", "{ref}"), ("S3CanonicalUserId", "{hex96}")]),
    made("AWS::CloudFront::OriginAccessControl", "E{upper13}").with(&[("Id", "{ref}")]),
    made("AWS::ServiceDiscovery::PrivateDnsNamespace", "ns-{lower16}").with(&[
        ("Id", "{ref}"),
        ("Arn", "arn:{partition}:servicediscovery:{region}:{account}:namespace/{ref}"),
        ("HostedZoneId", "Z{upper20}"),
    ]),
    made("AWS::ServiceDiscovery::HttpNamespace", "ns-{lower16}").with(&[
        ("Id", "{ref}"),
        ("Arn", "arn:{partition}:servicediscovery:{region}:{account}:namespace/{ref}"),
    ]),
    made("AWS::ServiceDiscovery::Service", "srv-{lower16}").with(&[
        ("Id", "{ref}"),
        ("Name", "{name}"),
        ("Arn", "arn:{partition}:servicediscovery:{region}:{account}:service/{ref}"),
    ]),
    named("AWS::AppMesh::Mesh", "MeshName")
        .known_by("arn:{partition}:appmesh:{region}:{account}:mesh/{name}")
        .with(&[("Arn", "{ref}"), ("MeshName", "{name}"), ("Uid", "{uuid}")]),
    // Users
    made("AWS::Cognito::UserPool", "{region}_{upper9}").with(&[
        ("UserPoolId", "{ref}"),
        ("Arn", "arn:{partition}:cognito-idp:{region}:{account}:userpool/{ref}"),
        ("ProviderName", "cognito-idp.{region}.{suffix}/{ref}"),
        ("ProviderURL", "https://cognito-idp.{region}.{suffix}/{ref}"),
    ]),
    made("AWS::Cognito::UserPoolClient", "{lower26}")
        .with(&[("ClientId", "{ref}"), ("ClientSecret", "{lower51}")]),
    made("AWS::Cognito::IdentityPool", "{region}:{uuid}"),
    // CloudFormation's own
    made(
        "AWS::CloudFormation::Stack",
        "arn:{partition}:cloudformation:{region}:{account}:stack/{name}/{uuid}",
    )
    .with(&[("StackId", "{ref}")]),
    made("AWS::CloudFormation::CustomResource", "{stack}-{logical}-{upper12}"),
    made(
        "AWS::CloudFormation::WaitConditionHandle",
        "https://cloudformation-waitcondition-{region}.s3.{suffix}/{hex32}",
    ),
    made(
        "AWS::CloudFormation::WaitCondition",
        "arn:{partition}:cloudformation:{region}:{account}:stack/{stack}/{uuid}/{logical}",
    )
    .with(&[("Data", "null")]),
];

#[cfg(test)]
mod tests {
    use super::super::identity::{Resource, Stack};
    use super::super::template::Value;
    use super::*;

    #[test]
    fn every_form_can_be_filled_in() {
        let stack = Stack::new("123456789012", "eu-west-1", "prod".to_owned());
        let properties = Value::Map(Vec::new());
        for listed in KINDS {
            let resource = Resource {
                name: "Thing",
                kind: listed.kind,
                properties: &properties,
            };
            let mut values = vec![stack.reference(&resource)];
            let attributes = listed.attributes.iter();
            values.extend(attributes.map(|(name, _)| stack.attribute(&resource, name)));
            for value in values {
                let text = format!("{value:?}");
                assert!(!text.contains(['{', '}']), "{}: {text}", listed.kind);
            }
        }
    }

    #[test]
    fn a_type_is_listed_once() {
        for (at, listed) in KINDS.iter().enumerate() {
            let first = KINDS.iter().position(|other| other.kind == listed.kind);
            assert_eq!(first, Some(at), "{}", listed.kind);
        }
    }

    #[test]
    fn a_name_that_is_given_is_the_name() {
        let stack = Stack::new("123456789012", "cn-north-1", "prod".to_owned());
        let properties = Value::Map(vec![
            ("FunctionName".to_owned(), Value::Text("work".to_owned())),
            ("BucketName".to_owned(), Value::Text("files".to_owned())),
        ]);
        let of = |kind| Resource {
            name: "Thing",
            kind,
            properties: &properties,
        };
        let (bucket, function) = (of("AWS::S3::Bucket"), of("AWS::Lambda::Function"));
        assert_eq!(stack.reference(&bucket).as_text(), Some("files"));
        assert_eq!(
            stack.attribute(&bucket, "RegionalDomainName").as_text(),
            Some("files.s3.cn-north-1.amazonaws.com.cn")
        );
        let arn = stack.attribute(&function, "Arn");
        assert_eq!(
            arn.as_text(),
            Some("arn:aws-cn:lambda:cn-north-1:123456789012:function:work")
        );
        let properties = Value::Map(vec![("FunctionName".to_owned(), arn)]);
        let alias = Resource {
            properties: &properties,
            ..of("AWS::Lambda::Alias")
        };
        assert_eq!(
            stack.reference(&alias).as_text(),
            Some("arn:aws-cn:lambda:cn-north-1:123456789012:function:work:live")
        );
    }

    #[test]
    fn a_name_that_is_made_up_is_not_too_long() {
        let stack = Stack::new("123456789012", "eu-west-1", "s".repeat(120));
        let properties = Value::Map(Vec::new());
        for listed in KINDS {
            let resource = Resource {
                name: "Thing",
                kind: listed.kind,
                properties: &properties,
            };
            if listed.reference == "{name}" {
                let name = stack.reference(&resource);
                assert!(name.as_text().unwrap().len() <= listed.longest, "{name:?}");
            }
        }
    }
}
