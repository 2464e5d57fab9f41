//! The control plane against a model of Proton's rules: random sequences of calls over all families, with engines that hold,
//! fail and let go in between, on each store. Every answer and every refusal has to be the one that the model expects, and what
//! goes on by itself has to end where the model says.
//!
//! A sequence follows from its seed. One that disagrees is shortened, step by step, for as long as it still disagrees, and printed.
//! `scripts/machine` runs many; in 500 every operation must have succeeded, and have ended with each error documented for it.

mod bundles;
mod calls;
mod compare;
mod generate;
mod model;

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use aws_sdk_proton::Client;
use proton_grpc::control_plane::Limits;
use serde_json::Value;

use super::postgres;
use super::stack::Stack;
use bundles::BUNDLES;
use calls::{OPERATIONS, Refused, Tap, documented};
use compare::Ids;
use generate::Generator;
use model::{By, CONFLICT, Model, NOT_FOUND, QUOTA, VALIDATION, quota};

/// Steps after those that build the world.
const STEPS: usize = 60;
/// How often all there is is read.
const READ_ALL_EVERY: usize = 10;
/// After so long without agreement there is none.
const PATIENCE: Duration = Duration::from_secs(20);
/// As that, for sequences that are known to disagree.
const SHORT_PATIENCE: Duration = Duration::from_secs(3);

/// How a call ends that is not refused.
const OK: &str = "ok";

/// Of the short form, for each store.
const SEQUENCES: u64 = 8;
/// In so many every operation has to end in every way.
const ENOUGH: u64 = 500;

#[derive(Clone, Debug)]
enum Step {
    Call(By, &'static str, Value),
    /// What the engine does, to be made or taken down, is held until it is let go.
    Hold(String),
    Fail(String),
    LetGo,
    Mend,
    /// So many milliseconds go by.
    Pass(i64),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(By::Management, operation, request) => write!(f, "{operation} {request}"),
            Self::Call(By::Other, operation, request) => {
                write!(f, "as the other account: {operation} {request}")
            }
            Self::Hold(step) => write!(f, "from now on {step} is held"),
            Self::Fail(step) => write!(f, "from now on {step} fails"),
            Self::LetGo => write!(f, "what is held goes on, a second later"),
            Self::Mend => write!(f, "from now on nothing fails"),
            Self::Pass(ms) => write!(f, "{} s go by", ms / 1000),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Engine {
    Sqlite,
    Postgres,
}

/// How often each operation ended how.
type Coverage = BTreeMap<&'static str, BTreeMap<String, usize>>;

/// The control plane and its model, side by side.
struct Pair {
    stack: Stack,
    clients: [Client; 2],
    tap: Tap,
    model: Model,
    ids: Ids,
    coverage: Coverage,
    patience: Duration,
}

impl Pair {
    async fn new(engine: Engine, patience: Duration) -> Self {
        let limits = Limits {
            templates: quota::TEMPLATES as i64,
            versions_per_template: quota::VERSIONS as i64,
            environments: quota::ENVIRONMENTS as i64,
            services: quota::SERVICES as i64,
            instances_per_service: quota::INSTANCES as i64,
            components: quota::COMPONENTS as i64,
            connections_per_environment_account: quota::CONNECTIONS as i64,
            ..Limits::default()
        };
        let stack = match engine {
            Engine::Sqlite => Stack::scripted(limits),
            Engine::Postgres => {
                let database = postgres::new_database().await;
                Stack::scripted_on(postgres::join(&database).await, limits)
            }
        };
        for bundle in BUNDLES {
            let files = bundle.files();
            let files: Vec<_> = files
                .iter()
                .map(|(path, text)| (&**path, &**text))
                .collect();
            stack.upload(bundle.key, &files);
        }
        let tap = Tap::default();
        Self {
            clients: stack.watched(tap.clone()),
            stack,
            tap,
            model: Model::new(),
            ids: Ids::default(),
            coverage: Coverage::new(),
            patience,
        }
    }

    /// Takes the step on both sides, until both have come to rest.
    async fn take(&mut self, step: &Step) -> Result<(), String> {
        let second = Duration::from_secs(1);
        match step {
            Step::Call(by, operation, request) => {
                self.call(*by, operation, request).await?;
                if operation.starts_with("Get") || operation.starts_with("List") {
                    return Ok(());
                }
            }
            Step::Hold(step) => {
                self.stack.engine.hold(step);
                self.model.hold(step);
                return Ok(());
            }
            Step::Fail(step) => {
                self.stack.engine.fail(step);
                self.model.fail(step);
                return Ok(());
            }
            Step::Mend => {
                self.stack.engine.mend();
                self.model.mend();
                return Ok(());
            }
            Step::LetGo => {
                self.stack.engine.let_go();
                self.stack.clock.advance(second);
                self.model.let_go();
            }
            Step::Pass(ms) => {
                self.stack
                    .clock
                    .advance(Duration::from_millis((*ms).try_into().unwrap()));
                self.model.pass(*ms);
            }
        }
        self.model.settle();
        self.agree(self.model.quick_reads()).await?;
        self.reach_engines().await
    }

    async fn call(
        &mut self,
        by: By,
        operation: &'static str,
        request: &Value,
    ) -> Result<(), String> {
        let filled = self.ids.fill(request);
        let answer = self.send(by, operation, &filled).await?;
        let expected = self.model.call(by, operation, request);
        let ended = answer
            .as_ref()
            .map_or_else(|(code, _)| code.clone(), |_| OK.to_owned());
        *self
            .coverage
            .entry(operation)
            .or_default()
            .entry(ended)
            .or_default() += 1;
        match (expected, answer) {
            (Ok(expected), Ok(answer)) => self.ids.agree(&expected, &answer, ""),
            (Err(expected), Err((code, message))) => {
                match expected.codes.contains(&&*code) && message.contains(expected.says) {
                    true => Ok(()),
                    false => Err(format!("expected {expected:?}, got {code}: {message}")),
                }
            }
            (Ok(expected), Err(refused)) => Err(format!("expected {expected}, got {refused:?}")),
            (Err(expected), Ok(answer)) => Err(format!("expected {expected:?}, got {answer}")),
        }
    }

    /// Sends the call; a list is read to its end, page by page.
    async fn send(
        &self,
        by: By,
        operation: &str,
        request: &Value,
    ) -> Result<Result<Value, Refused>, String> {
        let client = &self.clients[usize::from(by == By::Other)];
        let mut request = request.clone();
        let mut whole: Option<Value> = None;
        loop {
            let answer = calls::call(client, &self.tap, operation, &request).await;
            let Ok(mut page) = answer else {
                return Ok(answer);
            };
            let token = page
                .as_object_mut()
                .and_then(|page| page.remove("nextToken"));
            if let Some(most) = request["maxResults"].as_u64() {
                let count = page
                    .as_object()
                    .and_then(|page| page.values().next()?.as_array().map(Vec::len));
                let count = count.unwrap_or_default() as u64;
                if count > most || (token.is_some() && count < most) {
                    return Err(format!("a page of {count} entries: {page}"));
                }
            }
            match &mut whole {
                None => whole = Some(page),
                Some(whole) => {
                    for (member, more) in page.as_object_mut().unwrap() {
                        let items = whole[member.as_str()].as_array_mut().unwrap();
                        items.append(more.as_array_mut().unwrap());
                    }
                }
            }
            match token {
                Some(token) => request["nextToken"] = token,
                None => return Ok(Ok(whole.unwrap())),
            }
        }
    }

    /// Waits until the reads are answered as the model does.
    async fn agree(&mut self, reads: Vec<(&'static str, Value)>) -> Result<(), String> {
        let begun = Instant::now();
        for (operation, request) in reads {
            let expected = self.model.call(By::Management, operation, &request);
            let expected = expected.expect("what is there can be read");
            let filled = self.ids.fill(&request);
            loop {
                let mut ids = self.ids.clone();
                let agrees = match self.send(By::Management, operation, &filled).await? {
                    Ok(answer) => ids.agree(&expected, &answer, operation),
                    Err(refused) => {
                        Err(format!("{operation}: expected {expected}, got {refused:?}"))
                    }
                };
                match agrees {
                    Ok(()) => {
                        self.ids = ids;
                        break;
                    }
                    Err(why) if begun.elapsed() > self.patience => {
                        return Err(format!("{why}, when asked {request}"));
                    }
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        }
        Ok(())
    }

    /// Waits until the engine has what it holds. Answers do not tell, but what has not come to its engine yet is cancelled, or goes
    /// on later, in another way.
    async fn reach_engines(&self) -> Result<(), String> {
        let begun = Instant::now();
        for name in self.model.held() {
            let id = self.ids.fill(&name.clone().into());
            while !self
                .stack
                .engine
                .has_seen(id.as_str().expect("an id is text"))
            {
                if begun.elapsed() > self.patience {
                    return Err(format!("{name}: expected to come to its engine"));
                }
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }
}

/// A sequence that the two disagree about.
struct Disagreement {
    steps: Vec<Step>,
    why: String,
}

impl Disagreement {
    /// What they disagree about.
    fn place(&self) -> &str {
        self.why.split("expected").next().unwrap_or_default()
    }
}

/// Takes the steps that `next` names, until there are none or the two disagree.
fn play(
    engine: Engine,
    patience: Duration,
    mut next: impl FnMut(&Model, usize) -> Option<Step>,
    coverage: &mut Coverage,
) -> Result<(), Disagreement> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut pair = Pair::new(engine, patience).await;
        let mut steps = Vec::new();
        let mut ended = Ok(());
        while let Some(step) = next(&pair.model, steps.len()) {
            steps.push(step.clone());
            ended = pair.take(&step).await;
            if ended.is_ok() && steps.len() % READ_ALL_EVERY == 0 {
                ended = pair.agree(pair.model.reads()).await;
            }
            if ended.is_err() {
                break;
            }
        }
        if ended.is_ok() {
            ended = pair.agree(pair.model.reads()).await;
        }
        for (operation, ends) in pair.coverage {
            for (end, count) in ends {
                *coverage
                    .entry(operation)
                    .or_default()
                    .entry(end)
                    .or_default() += count;
            }
        }
        pair.stack.plane.close().await;
        ended.map_err(|why| Disagreement { steps, why })
    })
}

fn sequence(engine: Engine, seed: u64, coverage: &mut Coverage) -> Result<(), Disagreement> {
    let mut generator = Generator::new(seed);
    let length = generator.ahead() + STEPS;
    let next = |model: &Model, taken| (taken < length).then(|| generator.step(model));
    play(engine, PATIENCE, next, coverage)
}

/// Leaves out what is not needed to disagree about the same.
fn shorten(engine: Engine, mut found: Disagreement) -> Disagreement {
    let mut size = found.steps.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < found.steps.len() {
            let mut fewer = found.steps.clone();
            fewer.drain(at..(at + size).min(fewer.len()));
            match play(
                engine,
                SHORT_PATIENCE,
                |_, taken| fewer.get(taken).cloned(),
                &mut Coverage::new(),
            ) {
                Err(shorter) if shorter.place() == found.place() => found = shorter,
                _ => at += size,
            }
        }
        size /= 2;
    }
    found
}

fn run(engine: Engine, sequences: u64, first_seed: u64, coverage: &mut Coverage) {
    for seed in first_seed..first_seed + sequences {
        if let Err(found) = sequence(engine, seed, coverage) {
            println!("seed {seed} on {engine:?}: {}", found.why);
            let found = shorten(engine, found);
            let steps = found.steps.iter().map(|step| format!("  {step}\n"));
            let steps: String = steps.collect();
            panic!("seed {seed} on {engine:?}, in short:\n{steps}{}", found.why);
        }
        if (seed - first_seed + 1).is_multiple_of(100) {
            println!("{engine:?}: {} sequences agree", seed - first_seed + 1);
        }
    }
}

fn table(coverage: &Coverage) -> String {
    let line = |operation: &&str| {
        let ends = coverage.get(operation).into_iter().flatten();
        let ends: Vec<_> = ends.map(|(end, count)| format!("{end} {count}")).collect();
        format!("{operation:<45} {}\n", ends.join(", "))
    };
    OPERATIONS.iter().map(line).collect()
}

/// What `scripts/machine` asks for: how many sequences, and the seed of the first.
fn asked() -> Option<(u64, u64)> {
    let asked = |name| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse().expect("a number"))
    };
    Some((
        asked("MACHINE_SEQUENCES")?,
        asked("MACHINE_SEED").unwrap_or(0),
    ))
}

fn agrees_on(engine: Engine) {
    let mut coverage = Coverage::new();
    let (sequences, seed) = asked().unwrap_or((SEQUENCES, 0));
    run(engine, sequences, seed, &mut coverage);
    if asked().is_some() {
        println!("{engine:?}\n{}", table(&coverage));
        let missed = missed(&coverage).join("\n");
        println!("never ended:\n{missed}");
        assert!(sequences < ENOUGH || missed.is_empty());
    }
}

/// How operations never ended, of what is documented.
fn missed(coverage: &Coverage) -> Vec<String> {
    let mut missed = Vec::new();
    for operation in OPERATIONS {
        let ends = [OK].into_iter().chain(documented(operation));
        for end in ends.filter(|end| !is_out_of_reach(operation, end)) {
            let ended = coverage.get(operation);
            if !ended.is_some_and(|ended| ended.contains_key(end)) {
                missed.push(format!("{operation}: {end}"));
            }
        }
    }
    missed
}

/// What no sequence comes to, though it is documented.
fn is_out_of_reach(operation: &str, end: &str) -> bool {
    match end {
        // Nothing can be told of before something is synced from Git.
        OK => matches!(
            operation,
            "GetRepositorySyncStatus" | "GetTemplateSyncStatus" | "GetServiceInstanceSyncStatus"
        ),
        // Their members have no limits, if they have members.
        VALIDATION => matches!(
            operation,
            "GetAccountSettings" | "GetResourcesSummary" | "UpdateServiceSyncBlocker"
        ),
        // An account is always there, and what is gone may be deleted again, but for these.
        NOT_FOUND => match operation {
            "GetAccountSettings" | "ListRepositories" | "ListEnvironments" => true,
            "DeleteComponent" | "DeleteDeployment" | "DeleteRepository" => false,
            other => other.starts_with("Delete") && !other.ends_with("SyncConfig"),
        },
        // Versions get numbers that nothing has, and words and tags are changed whatever goes on.
        CONFLICT => match operation {
            "UpdateEnvironmentTemplate" | "UpdateServiceTemplate" | "UpdateAccountSettings" => true,
            "UpdateEnvironmentAccountConnection" | "DeleteEnvironmentAccountConnection" => true,
            "TagResource" | "UntagResource" => true,
            other if other.ends_with("SyncConfig") => !other.starts_with("Create"),
            other => other.ends_with("TemplateVersion") && !other.starts_with("Delete"),
        },
        // There are no quotas of repositories and syncs, and nothing is added by the others.
        QUOTA => matches!(
            operation,
            "CreateRepository"
                | "CreateTemplateSyncConfig"
                | "CreateServiceSyncConfig"
                | "UpdateComponent"
                | "NotifyResourceDeploymentStatusChange"
        ),
        _ => false,
    }
}

#[test]
fn the_control_plane_on_sqlite_agrees_with_the_model() {
    agrees_on(Engine::Sqlite);
}

#[test]
fn the_control_plane_on_postgresql_agrees_with_the_model() {
    agrees_on(Engine::Postgres);
}
