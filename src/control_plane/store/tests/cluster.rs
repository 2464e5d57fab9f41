//! A PostgreSQL server for the tests: started once, each test in a schema of its own, gone when the tests are.

use std::env;
use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use tokio_postgres::NoTls;

use super::unique_name;

/// What the tests need of the disk is order, not speed: they keep `fsync` on.
const SETTINGS: &str = "\
shared_buffers = 32MB
max_connections = 500
autovacuum_naptime = 10min
log_min_messages = fatal
";

/// Ends a server when its standard input ends, which it does with the tests, however they end.
const WATCH: &str = r#"read -r _; "$@" stop -m immediate >/dev/null 2>&1; rm -rf "$DIRECTORY""#;

pub(crate) struct Server {
    directory: PathBuf,
    programs: PathBuf,
    _watch: Child,
}

/// The server that tests share. They must not stop it.
pub(super) fn shared() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::start)
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_with("listen_addresses = ''\n", &[])
    }

    /// One that is reached on this port of localhost and shows the certificate among the fixtures.
    pub(super) fn start_with_tls(port: u16) -> Self {
        let settings = format!("listen_addresses = 'localhost'\nport = {port}\nssl = on\n");
        let certificate = include_str!("fixtures/tls/server.crt");
        let key = include_str!("fixtures/tls/server.key");
        Self::start_with(
            &settings,
            &[("server.crt", certificate), ("server.key", key)],
        )
    }

    /// Starts one with more settings, and files in its data directory.
    fn start_with(settings: &str, files: &[(&str, &str)]) -> Self {
        let programs = programs();
        let directory = tempfile::Builder::new()
            .prefix("proton-grpc-postgres-")
            .tempdir()
            .unwrap()
            .keep();
        if is_root() {
            give_to_nobody(&directory);
        }
        let data = directory.join("data");
        run(as_user(&programs.join("initdb"))
            .args([
                "--no-sync",
                "--auth=trust",
                "--username=proton",
                "--encoding=UTF8",
                "--locale=C",
                "-D",
            ])
            .arg(&data));
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(data.join("postgresql.conf"))
            .unwrap();
        writeln!(
            file,
            "{SETTINGS}{settings}unix_socket_directories = '{}'",
            directory.display()
        )
        .unwrap();
        for (name, text) in files {
            let file = data.join(name);
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
            if is_root() {
                give_to_nobody(&file);
            }
        }
        let control = control(&programs, &data);
        let watch = Command::new("sh")
            .args(["-c", WATCH, "sh"])
            .args(words(&control))
            .env("DIRECTORY", &directory)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let server = Self {
            directory,
            programs,
            _watch: watch,
        };
        server.control(&["start"]);
        server
    }

    /// A part of the database with nothing in it, as a URL.
    pub(crate) async fn new_database(&self) -> String {
        let schema = format!("t{}", unique_name());
        execute(&self.url("public"), &format!("CREATE SCHEMA {schema}")).await;
        self.url(&schema)
    }

    /// Ends it as a power loss would, and starts it again.
    pub(super) fn crash(&self) {
        self.control(&["restart", "-m", "immediate"]);
    }

    pub(crate) fn stop(&self) {
        self.control(&["stop", "-m", "fast"]);
    }

    pub(crate) fn start_again(&self) {
        self.control(&["start"]);
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.directory.join(".s.PGSQL.5432")
    }

    fn url(&self, schema: &str) -> String {
        let directory = self.directory.display().to_string().replace('/', "%2F");
        format!("postgres://proton@{directory}/postgres?options=-csearch_path%3D{schema}")
    }

    fn control(&self, what: &[&str]) {
        let data = self.directory.join("data");
        run(control(&self.programs, &data)
            .args(["-w", "-l"])
            .arg(data.join("log"))
            .args(what));
    }
}

/// Runs statements, one after the other.
pub(super) async fn execute(url: &str, text: &str) {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    client.batch_execute(text).await.unwrap();
    drop(client);
    connection.await.unwrap().unwrap();
}

/// The directory with the server's programs.
fn programs() -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let tools = env::var_os("PROTON_GRPC_TOOLS").map(|tools| PathBuf::from(tools).join("bin"));
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut debian: Vec<_> = debian.flatten().map(|it| it.path().join("bin")).collect();
    debian.sort();
    let mut known = tools
        .into_iter()
        .chain(env::split_paths(&path))
        .chain(debian.into_iter().rev());
    known
        .find_map(|directory| {
            // Beside the program itself, not beside a link to it, are the others that it needs.
            let program = directory.join("initdb").canonicalize().ok()?;
            let directory = program.parent()?.to_owned();
            directory.join("pg_ctl").exists().then_some(directory)
        })
        .expect(
            "these tests need PostgreSQL's server programs (initdb, pg_ctl): run scripts/tools, or install your \
             system's package (Debian: apt-get install postgresql) or put their directory into PATH",
        )
}

fn control(programs: &Path, data: &Path) -> Command {
    let mut command = as_user(&programs.join("pg_ctl"));
    command.arg("-D").arg(data);
    command
}

/// PostgreSQL does not run as root.
fn as_user(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"])
        .arg(program)
        .current_dir("/");
    command
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn give_to_nobody(path: &Path) {
    run(Command::new("chown").arg("nobody:nogroup").arg(path));
}

fn words(command: &Command) -> Vec<std::ffi::OsString> {
    let program = command.get_program().to_owned();
    let args = command.get_args().map(ToOwned::to_owned);
    std::iter::once(program).chain(args).collect()
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
