//! Which template version a deployment uses: the one that the request names, or the recommended one.

use super::bundle::{Bundle, PartKind};
use super::render::Method;
use super::store::Key;
use super::template::{Template, Type};
use super::template_version::{self, Fit, Status, Version};
use super::version_numbers::Number;
use super::{Caller, ControlPlane};
use crate::api::{Error, pb};
use pb::DeploymentUpdateType as UpdateType;

/// A version to deploy, which must still be there when the deployment is written.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) template: Template,
    pub(super) number: Number,
    pub(super) key: Key,
    pub(super) bundle: Bundle,
    /// On versions of service templates.
    pub(super) fit: Option<Fit>,
}

impl Chosen {
    /// How a part that the bundle must have is provisioned.
    pub(super) fn method_of(&self, part: PartKind) -> Method {
        let part = self.bundle.part(part);
        let part = part.expect("a registered bundle has the parts of its template");
        Method::of(&part.manifest)
    }
}

/// What one engine has provisioned, another cannot take over.
pub(super) fn check_switch(
    named: &str,
    now: Option<Method>,
    next: Option<Method>,
) -> Result<(), Error> {
    match (now, next) {
        (Some(Method::CloudFormation), Some(Method::Terraform))
        | (Some(Method::Terraform), Some(Method::CloudFormation)) => Err(Error::validation(
            format!("{named} cannot go from CloudFormation to Terraform or back"),
        )),
        _ => Ok(()),
    }
}

/// The parts of a version number that a request gives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) major: Option<&'a str>,
    pub(super) minor: Option<&'a str>,
}

/// The version for something new: the recommended one, in the template or in the major version that is asked for.
pub(super) async fn for_create(
    plane: &ControlPlane,
    caller: &Caller,
    of: Type,
    template: &str,
    asked: Asked<'_>,
) -> Result<Chosen, Error> {
    let template = load_template(plane, caller, of, template).await?;
    let number = match (asked.major, asked.minor) {
        (None, None) => recommended(&template, of)?,
        (None, Some(_)) => {
            return Err(Error::validation(
                "templateMinorVersion: templateMajorVersion must be given with it",
            ));
        }
        (Some(major), None) => recommended_minor(&template, of, major_of(&template, of, major)?)?,
        (Some(major), Some(minor)) => exactly(&template, of, major, minor)?,
    };
    choose(plane, caller, of, template, number).await
}

/// The version for what is deployed at `current`.
pub(super) async fn for_update(
    plane: &ControlPlane,
    caller: &Caller,
    of: Type,
    template: &str,
    current: Number,
    how: UpdateType,
    asked: Asked<'_>,
) -> Result<Chosen, Error> {
    let template = load_template(plane, caller, of, template).await?;
    let number = next(&template, of, current, how, asked)?;
    choose(plane, caller, of, template, number).await
}

fn next(
    template: &Template,
    of: Type,
    current: Number,
    how: UpdateType,
    asked: Asked<'_>,
) -> Result<Number, Error> {
    let same_major = asked
        .major
        .is_none_or(|major| major.parse() == Ok(current.major));
    let higher_major = |major: u32| match major > current.major {
        true => Ok(major),
        false => Err(Error::validation(format!(
            "templateMajorVersion: MAJOR_VERSION goes to a major version above {}, not to {major}",
            current.major
        ))),
    };
    match how {
        UpdateType::CurrentVersion => {
            check_none(asked, "CURRENT_VERSION")?;
            Ok(current)
        }
        UpdateType::MinorVersion if !same_major => Err(Error::validation(format!(
            "templateMajorVersion: MINOR_VERSION stays in major version {}",
            current.major
        ))),
        UpdateType::MinorVersion => match asked.minor {
            Some(minor) => exactly(template, of, &current.major.to_string(), minor),
            None => recommended_minor(template, of, current.major),
        },
        UpdateType::MajorVersion => match (asked.major, asked.minor) {
            (None, None) => {
                let number = recommended(template, of)?;
                higher_major(number.major)?;
                Ok(number)
            }
            (None, Some(_)) => Err(Error::validation(
                "templateMinorVersion: templateMajorVersion must be given with it",
            )),
            (Some(major), minor) => {
                let number = higher_major(major_of(template, of, major)?)?;
                match minor {
                    Some(minor) => exactly(template, of, major, minor),
                    None => recommended_minor(template, of, number),
                }
            }
        },
        UpdateType::None | UpdateType::Unspecified => {
            unreachable!("NONE deploys nothing and validation refuses the unspecified")
        }
    }
}

/// NONE and CURRENT_VERSION leave the version as it is.
pub(super) fn check_none(asked: Asked<'_>, how: &str) -> Result<(), Error> {
    let given = [
        ("templateMajorVersion", asked.major),
        ("templateMinorVersion", asked.minor),
    ];
    match given.iter().find(|(_, part)| part.is_some()) {
        None => Ok(()),
        Some((member, _)) => Err(Error::validation(format!(
            "{member}: must not be given with deploymentType {how}"
        ))),
    }
}

async fn load_template(
    plane: &ControlPlane,
    caller: &Caller,
    of: Type,
    name: &str,
) -> Result<Template, Error> {
    let found = plane.load::<Template>(&of.key(caller, name)).await?;
    Ok(found.ok_or_else(|| of.not_found(name))?.value)
}

fn recommended(template: &Template, of: Type) -> Result<Number, Error> {
    template.numbers.recommended().ok_or_else(|| {
        let named = of.named(&template.name);
        Error::validation(format!("{named} has no published version"))
    })
}

fn recommended_minor(template: &Template, of: Type, major: u32) -> Result<Number, Error> {
    match template.numbers.recommended_minor(major) {
        Some(minor) => Ok(Number { major, minor }),
        None => Err(Error::validation(format!(
            "major version {major} of {} has no published minor version",
            of.named(&template.name)
        ))),
    }
}

fn major_of(template: &Template, of: Type, asked: &str) -> Result<u32, Error> {
    let major = asked.parse().ok();
    major
        .filter(|major| template.numbers.has_major(*major))
        .ok_or_else(|| {
            let named = of.named(&template.name);
            Error::not_found(format!("{named} has no major version {asked}"))
        })
}

fn exactly(template: &Template, of: Type, major: &str, minor: &str) -> Result<Number, Error> {
    Number::of(major, minor).ok_or_else(|| {
        let named = of.named(&template.name);
        Error::not_found(format!("version {major}.{minor} of {named} does not exist"))
    })
}

async fn choose(
    plane: &ControlPlane,
    caller: &Caller,
    of: Type,
    template: Template,
    number: Number,
) -> Result<Chosen, Error> {
    let key = of.version_key(caller, &template.name, number);
    let named = || format!("version {number} of {}", of.named(&template.name));
    let version = plane
        .load::<Version>(&key)
        .await?
        .ok_or_else(|| Error::not_found(format!("{} does not exist", named())))?
        .value;
    if !matches!(version.status, Status::Draft | Status::Published) {
        let named = named();
        return Err(Error::validation(format!("{named} is not registered")));
    }
    let bundle = template_version::bundle(plane, of, template.customer_managed, &key).await?;
    Ok(Chosen {
        number,
        key,
        bundle,
        fit: version.fit,
        template,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Code;
    use crate::control_plane::resource::Envelope;
    use crate::control_plane::version_numbers::Numbers;

    const OF: Type = Type::Environment;

    /// Versions 1.0 and 1.1 (published) and 1.2, 2.0 (published), and 3.0.
    fn template() -> Template {
        let mut numbers = Numbers::default();
        for major in [None, Some(1), Some(1), None, None] {
            numbers.next(major);
        }
        for (major, minor) in [(1, 1), (2, 0)] {
            numbers.publish(Number { major, minor });
        }
        Template {
            envelope: Envelope::plain(0),
            name: "t".to_owned(),
            display_name: "t".to_owned(),
            description: None,
            encryption_key: None,
            customer_managed: false,
            numbers,
        }
    }

    fn updated(how: UpdateType, major: Option<&str>, minor: Option<&str>) -> Result<String, Code> {
        let current = Number { major: 1, minor: 0 };
        let asked = Asked { major, minor };
        next(&template(), OF, current, how, asked)
            .map(|number| number.to_string())
            .map_err(|error| error.code)
    }

    #[test]
    fn a_minor_update_goes_to_the_recommended_or_the_named_minor_of_the_same_major() {
        let how = UpdateType::MinorVersion;
        assert_eq!(updated(how, None, None).as_deref(), Ok("1.1"));
        assert_eq!(updated(how, Some("1"), Some("2")).as_deref(), Ok("1.2"));
        assert_eq!(updated(how, None, Some("0")).as_deref(), Ok("1.0"));
        assert_eq!(updated(how, Some("2"), None), Err(Code::Validation));
    }

    #[test]
    fn a_major_update_goes_up_only() {
        let how = UpdateType::MajorVersion;
        assert_eq!(updated(how, None, None).as_deref(), Ok("2.0"));
        assert_eq!(updated(how, Some("2"), None).as_deref(), Ok("2.0"));
        assert_eq!(updated(how, Some("3"), Some("0")).as_deref(), Ok("3.0"));
        assert_eq!(updated(how, Some("3"), None), Err(Code::Validation));
        assert_eq!(updated(how, Some("1"), None), Err(Code::Validation));
        assert_eq!(updated(how, Some("9"), None), Err(Code::ResourceNotFound));
        assert_eq!(updated(how, None, Some("0")), Err(Code::Validation));
    }

    #[test]
    fn the_current_version_cannot_be_named() {
        let how = UpdateType::CurrentVersion;
        assert_eq!(updated(how, None, None).as_deref(), Ok("1.0"));
        assert_eq!(updated(how, Some("1"), None), Err(Code::Validation));
        assert_eq!(updated(how, None, Some("0")), Err(Code::Validation));
    }
}
