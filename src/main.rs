//! The command line.

use std::{env, ffi::OsString, io::Write as _, process::ExitCode};

use anyhow::Result;
use clap::{Parser, Subcommand, error::ErrorKind};
use proton_grpc::{
    cli::{
        bundle,
        call::{self, Call},
        config::Settings,
        quickstart, serve, store,
    },
    telemetry::logs,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What `sysexits.h` calls a usage error.
const BAD_SETTINGS: u8 = 64;
const FAILURE: u8 = 1;

/// AWS Proton over gRPC, and a Proton to put behind it
#[derive(Parser)]
#[command(version)]
struct CommandLine {
    #[command(subcommand)]
    command: Subcommands,
}

#[derive(Subcommand)]
enum Subcommands {
    /// Serve gRPC (and AWS-JSON) until told to stop
    #[command(disable_help_flag = true)]
    Serve {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
        settings: Vec<OsString>,
    },
    /// Go from nothing to a deployed service, call by call, then keep serving
    ///
    /// Takes the settings of `serve` too; the data directory is a new one unless it is named.
    #[command(disable_help_flag = true)]
    Quickstart {
        /// End after the story
        #[arg(long)]
        once: bool,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
        settings: Vec<OsString>,
    },
    /// Make one call by name, JSON in and out
    Call(Call),
    /// Check and render template bundles, and push them to where registration reads from
    #[command(subcommand)]
    Bundle(bundle::Command),
    /// Move what the built-in control plane keeps: from a data directory to a database, or back
    #[command(subcommand)]
    Store(Box<store::Command>),
}

fn main() -> ExitCode {
    let command = match CommandLine::try_parse() {
        Ok(line) => line.command,
        Err(error) => return usage(&error),
    };
    let done = match command {
        Subcommands::Serve { settings } => match Settings::read(settings, |name| env::var_os(name))
        {
            Ok(settings) => serve(settings),
            Err(error) => return usage(&error),
        },
        Subcommands::Quickstart { once, settings } => {
            let mut story = quickstart::Story::new(once);
            match Settings::read(story.settings(settings), |name| env::var_os(name)) {
                Ok(settings) => tell(&mut story, settings),
                Err(error) => return usage(&error),
            }
        }
        Subcommands::Call(call) => make(&call),
        Subcommands::Bundle(command) => block_on(bundle::run(command))
            .flatten()
            .map(|()| ExitCode::SUCCESS),
        Subcommands::Store(command) => block_on(store::run(*command, |name| env::var_os(name)))
            .flatten()
            .map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(FAILURE)
    })
}

fn serve(settings: Settings) -> Result<ExitCode> {
    match log(&settings) {
        Ok(()) => block_on(serve::run(settings))?.map(ended),
        Err(bad) => Ok(bad),
    }
}

fn tell(story: &mut quickstart::Story, settings: Settings) -> Result<ExitCode> {
    match log(&settings) {
        Ok(()) => block_on(story.run(settings))?.map(ended),
        Err(bad) => Ok(bad),
    }
}

/// A signal that cut calls off shows as it does of a process that it has killed.
fn ended(end: serve::End) -> ExitCode {
    match end {
        serve::End::Drained => ExitCode::SUCCESS,
        serve::End::Cut(signal) => {
            let number = u8::try_from(signal.as_raw_value()).expect("signals have small numbers");
            ExitCode::from(128 + number)
        }
    }
}

fn log(settings: &Settings) -> Result<(), ExitCode> {
    let variables = env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    logs::start(&settings.log, settings.log_format, variables).map_err(|error| {
        eprintln!("error: {error}");
        ExitCode::from(BAD_SETTINGS)
    })
}

fn make(call: &Call) -> Result<ExitCode> {
    let show = |response: &str| {
        // Whoever closed standard output, as `head` does, has seen enough.
        let _ = writeln!(std::io::stdout(), "{response}");
    };
    Ok(match block_on(call.make(show))?? {
        Ok(()) => ExitCode::SUCCESS,
        Err(status) => {
            eprintln!("{}", call.describe(&status));
            ExitCode::from(call::exit_code(&status))
        }
    })
}

/// Calls have threads of their own (`server::workers`); this one is for everything else.
fn block_on<T>(work: impl Future<Output = T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(work);
    // Blocking work that hangs would hang the end, too.
    runtime.shutdown_background();
    Ok(done)
}

/// Help and the version are what was asked for; everything else is a bad setting, told in one line.
fn usage(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
        }
        _ => eprintln!("{}", error.to_string().lines().next().unwrap_or_default()),
    }
    ExitCode::from(BAD_SETTINGS)
}
