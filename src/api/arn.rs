//! How Amazon Resource Names of Proton are formed.

use std::fmt::Display;

/// The ARN of a resource, such as `environment/prod`, of an account in a Region.
pub fn arn(region: &str, account: &str, resource: impl Display) -> String {
    let partition = match region.split('-').next() {
        Some("cn") => "aws-cn",
        Some("us") if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    };
    format!("arn:{partition}:proton:{region}:{account}:{resource}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partition_follows_from_the_region() {
        let arn = |region: &str| arn(region, "123456789012", "environment/prod");
        assert_eq!(
            arn("us-east-1"),
            "arn:aws:proton:us-east-1:123456789012:environment/prod"
        );
        assert_eq!(
            arn("cn-north-1"),
            "arn:aws-cn:proton:cn-north-1:123456789012:environment/prod"
        );
        assert_eq!(
            arn("us-gov-west-1"),
            "arn:aws-us-gov:proton:us-gov-west-1:123456789012:environment/prod"
        );
    }
}
