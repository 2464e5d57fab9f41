use std::{collections::BTreeMap, io::Write};

use super::*;

fn read(flags: &[&str], variables: &[(&str, &str)]) -> Result<Settings, String> {
    let variable = |name: &str| {
        variables
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.into())
    };
    Settings::read(flags.iter().map(OsString::from), variable).map_err(|error| error.to_string())
}

fn file(text: &str) -> (tempfile::NamedTempFile, String) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let flag = format!("--config={}", file.path().display());
    (file, flag)
}

#[test]
fn nothing_given_is_the_safe_default() {
    let settings = read(&[], &[]).unwrap();
    assert!(settings.listen.is_local());
    assert_eq!(settings.drain_wait(), Duration::ZERO);
    assert_eq!(settings.socket_mode, 0o600);
    assert_eq!(settings.upstream, Upstream::Embedded);
    assert_eq!(
        settings.bundles(),
        Bundles::Directory("proton-data/bundles".into())
    );
    assert!(settings.reflection());
    assert!(settings.workers() >= 1);
}

#[test]
fn a_flag_beats_the_variable_and_the_variable_beats_the_file() {
    let (_file, config) = file("region = 'file'\naccount-id = '111111111111'\nworkers = 7\n");
    let variables = [
        ("PROTON_GRPC_REGION", "variable"),
        ("PROTON_GRPC_ACCOUNT_ID", "222222222222"),
    ];
    let settings = read(&[&config, "--region", "flag"], &variables).unwrap();
    assert_eq!(settings.region, "flag");
    assert_eq!(settings.account_id, "222222222222");
    assert_eq!(settings.workers(), 7);
}

#[test]
fn entries_of_all_sources_add_up_and_the_last_of_each_wins() {
    let (_file, config) = file("[accounts]\nA = '111111111111'\nB = '111111111111'\n");
    let variables = [(
        "PROTON_GRPC_ACCOUNTS",
        "B=222222222222,C=222222222222,D=222222222222",
    )];
    let flags = [
        config.as_str(),
        "--account=C=333333333333",
        "--account",
        "D=444444444444",
    ];
    let accounts = read(&flags, &variables).unwrap().accounts;
    let accounts: BTreeMap<_, _> = accounts.into_iter().collect();
    let entry = |key: &str, digit: &str| (key.to_owned(), digit.repeat(12));
    let expected = [
        entry("A", "1"),
        entry("B", "2"),
        entry("C", "3"),
        entry("D", "4"),
    ];
    assert_eq!(accounts, BTreeMap::from(expected));
}

#[test]
fn a_quota_that_is_not_given_is_protons_own() {
    let (_file, config) = file("[quotas]\nenvironments = 7\nservices = 7\n");
    let settings = read(&[&config, "--quota=services=8"], &[]).unwrap();
    let expected = Limits {
        environments: 7,
        services: 8,
        ..Limits::default()
    };
    assert_eq!(settings.limits(), expected);
}

#[test]
fn the_file_may_be_named_by_a_variable() {
    let (file, _) = file("upstream = 'aws'");
    let settings = read(
        &[],
        &[("PROTON_GRPC_CONFIG", file.path().to_str().unwrap())],
    )
    .unwrap();
    assert_eq!(settings.upstream, Upstream::Aws);
}

#[test]
fn a_wrong_value_is_an_error_that_names_the_setting() {
    for (flag, name) in [
        ("--listen=nowhere", "--listen"),
        ("--upstream=ftp://x", "--upstream"),
        ("--aws-json=8787", "--aws-json"),
        ("--listen=unix:", "--listen"),
        ("--socket-mode=888", "--socket-mode"),
        ("--tls-cert=file", "--tls-key"),
        ("--tls-key=file", "--tls-cert"),
        ("--tls-client-ca=file", "--tls-cert"),
        ("--account-id=1234", "--account-id"),
        ("--account=111111111111", "--account"),
        ("--account=A=1", "--account"),
        ("--quota=environments", "--quota"),
        ("--quota=environments=-1", "--quota"),
        ("--quota=households=1", "--quota"),
        ("--bundles=dir:", "--bundles"),
        ("--store=mysql://db/proton", "--store"),
        ("--drain-wait=-1", "--drain-wait"),
        ("--workers=0", "--workers"),
        ("--retry-owner=nobody", "--retry-owner"),
        ("--events=", "--events"),
        ("--events=http://", "--events"),
        ("--metrics=9090", "--metrics"),
        ("--otlp=collector:4317", "--otlp"),
        ("--otlp=https://collector:4317", "--otlp"),
    ] {
        let error = read(&[flag], &[]).unwrap_err();
        assert!(error.contains(name), "{flag}: {error}");
    }
    let error = read(&[], &[("PROTON_GRPC_LISTEN", "nowhere")]).unwrap_err();
    assert!(error.contains("--listen"), "{error}");
}

#[test]
fn the_password_of_the_store_is_never_shown() {
    let url = "postgres://proton:secret@db.example/proton";
    let settings = read(&["--store", url], &[]).unwrap();
    assert!(settings.store.is_some());
    assert!(!format!("{settings:?}").contains("secret"));
    let error = read(
        &[],
        &[("PROTON_GRPC_STORE", &format!("{url}?sslmode=allow"))],
    );
    let error = error.unwrap_err();
    assert!(error.contains("--store: sslmode"), "{error}");
    assert!(!error.contains("secret"), "{error}");
}

#[test]
fn events_go_to_a_file_or_to_a_url_that_is_never_shown() {
    let settings = read(&["--events", "told/events.jsonl"], &[]).unwrap();
    let file = Events::File("told/events.jsonl".into());
    assert_eq!(settings.events, Some(file));
    let url = "https://hooks.example/secret";
    let settings = read(&["--events", url], &[]).unwrap();
    let webhook = Events::Webhook(url.parse().unwrap());
    assert_eq!(settings.events, Some(webhook));
    assert!(!format!("{settings:?}").contains("secret"));
}

#[test]
fn a_file_may_hold_settings_only() {
    for (text, said) in [
        ("lsiten = ''", "lsiten is not a setting"),
        ("config = ''", "config is not a setting"),
        ("listen = []", "listen must be"),
        ("account = 'A=111111111111'", "account is not a setting"),
        ("accounts = 'A=111111111111'", "accounts must be a table"),
        ("[quotas]\nservices = []", "quotas.services must be"),
        ("listen =", ""),
    ] {
        let (_file, config) = file(text);
        let error = read(&[&config], &[]).unwrap_err();
        assert!(error.contains(said), "{text}: {error}");
    }
    assert!(
        read(&["--config=/nowhere"], &[])
            .unwrap_err()
            .contains("/nowhere")
    );
}

#[test]
fn telemetry_is_off_until_it_is_asked_for() {
    let off = read(&[], &[]).unwrap().telemetry;
    assert!(off.metrics.is_none() && off.otlp.is_none());
    let (_file, config) = file("metrics = '0.0.0.0:9464'");
    let variables = [("PROTON_GRPC_OTLP", "http://collector:4317")];
    let on = read(&[&config], &variables).unwrap().telemetry;
    assert_eq!(on.metrics.unwrap().to_string(), "0.0.0.0:9464");
    assert_eq!(on.otlp.unwrap().host(), Some("collector"));
}

#[test]
fn a_public_listener_is_fine_where_callers_are_authenticated() {
    let settings = read(&["--listen=0.0.0.0:1", "--callers=callers.toml"], &[]).unwrap();
    assert!(settings.reflection());
}

#[test]
fn settings_that_belong_together_may_be_given_in_different_places() {
    let (_file, config) = file("tls-key = 'key'");
    let settings = read(&[&config, "--tls-cert=cert"], &[]).unwrap();
    assert!(settings.tls().is_some());
}

#[test]
fn settings_that_belong_together_come_together() {
    let proxy = "--trusted-proxy=spiffe://td/edge";
    for (flags, said) in [
        (&["--trust-domain=td"][..], "--trust-domain needs --callers"),
        (
            &["--jwt-issuer=https://i"],
            "--jwt-issuer needs --jwt-audience",
        ),
        (&["--jwt-audience=a"], "need --jwt-issuer"),
        (&["--jwt-keys=a"], "need --jwt-issuer"),
        (
            &["--jwt-issuer=https://i", "--jwt-audience=a"],
            "--jwt-issuer needs --callers",
        ),
        (&["--trusted-proxy=unix"], "--trusted-proxy needs --callers"),
        (&[proxy, "--callers=a"], "needs --trust-domain"),
        (
            &["--trust-domain=td", "--callers=a"],
            "--trust-domain needs --tls-client-ca",
        ),
        (
            &["--identity-header=x-user", "--callers=a"],
            "--identity-header needs",
        ),
        (
            &["--callers=a", "--account=A=111111111111"],
            "--account believes",
        ),
        (&["--trust-domain=TD"], "--trust-domain"),
        (&["--tls-cert=a"], "--tls-cert needs --tls-key"),
        (&["--tls-key=a"], "--tls-key needs --tls-cert"),
        (&["--tls-client-ca=a"], "--tls-client-ca needs --tls-cert"),
        (&["--trusted-proxy=anybody"], "--trusted-proxy"),
        (&["--identity-header=x user"], "--identity-header"),
    ] {
        let error = read(flags, &[]).unwrap_err();
        assert!(error.contains(said), "{flags:?}: {error}");
    }
    let all = [
        proxy,
        "--trust-domain=td",
        "--tls-cert=cert",
        "--tls-key=key",
        "--tls-client-ca=ca",
        "--callers=a",
        "--jwt-issuer=https://i",
        "--jwt-audience=a",
    ];
    let sources = read(&all, &[])
        .unwrap()
        .identities()
        .unwrap()
        .sources
        .unwrap();
    assert_eq!(sources.proxied.unwrap().header, "x-forwarded-client-cert");
    assert_eq!(sources.tokens.unwrap().audience, "a");
}

#[test]
fn a_public_listener_needs_to_be_asked_for() {
    for flag in ["--listen=0.0.0.0:1", "--aws-json=[::]:1"] {
        let error = read(&[flag], &[]).unwrap_err();
        assert!(error.contains("allow-unauthenticated-public"), "{error}");
        let settings = read(&[flag, "--allow-unauthenticated-public"], &[]).unwrap();
        assert_eq!(settings.reflection(), flag.starts_with("--aws-json"));
        assert_eq!(settings.drain_wait().as_secs(), 5);
        assert!(
            read(
                &[flag],
                &[("PROTON_GRPC_ALLOW_UNAUTHENTICATED_PUBLIC", "true")]
            )
            .is_ok()
        );
    }
}

#[test]
fn a_public_listener_may_be_there_for_clients_with_certificates() {
    let tls = ["--tls-cert=cert", "--tls-key=key"];
    let public = "--listen=0.0.0.0:1";
    assert!(read(&[public, tls[0], tls[1]], &[]).is_err());
    let settings = read(&[public, tls[0], tls[1], "--tls-client-ca=ca"], &[]).unwrap();
    assert!(settings.reflection());
    assert!(settings.tls().unwrap().client_ca.is_some());
}

#[test]
fn files_are_local_and_do_without_tls() {
    let files = ["--listen=unix:/run/a", "--aws-json=unix:/run/b"];
    assert!(read(&files, &[]).unwrap().reflection());
    let tls = ["--tls-cert=cert", "--tls-key=key"];
    let error = read(&[&files[..], &tls[..]].concat(), &[]).unwrap_err();
    assert!(error.contains("--tls-cert"), "{error}");
    assert!(read(&[files[0], tls[0], tls[1]], &[]).is_ok());
}
