//! The operation table, and everything that has one entry an operation: the facade's SDK calls
//! and gRPC methods, the control plane's handlers and their dispatch.

use crate::{
    contract::{Class, Contract, Operation, Wait},
    emit::{camel, snake},
};

/// One type an operation, and the table of all.
pub fn table(contract: &Contract) -> String {
    let types: String = everything(contract)
        .map(|operation| entry(contract, operation))
        .collect();
    let facts: String = contract
        .operations
        .iter()
        .map(|found| format!("{}::FACTS,", found.name))
        .collect();
    let count = contract.operations.len();
    format!(
        "{types} /// Every operation of the Proton API, in the contract's order.\npub static ALL: [&Facts; {count}] = [{facts}];"
    )
}

/// The operations of the Proton API and those that we add.
fn everything(contract: &Contract) -> impl Iterator<Item = &Operation> {
    contract.operations.iter().chain(&contract.inventions)
}

fn entry(contract: &Contract, operation: &Operation) -> String {
    let name = &operation.name;
    let class = match operation.class {
        Class::Read => "Read",
        Class::Token => "Token",
        Class::Idempotent => "Idempotent",
        Class::Unsafe => "Unsafe",
    };
    let resource = subject(name);
    let parts: Vec<String> = operation
        .identity
        .iter()
        .map(|field| format!("request.{field}.as_str()"))
        .collect();
    let request = if parts.is_empty() { "_" } else { "request" };
    let identity = match parts.as_slice() {
        [] => "String::new()".to_owned(),
        [only] => format!("{only}.to_owned()"),
        several => format!("[{}].join(\"/\")", several.join(", ")),
    };
    let request_type = contract.find(&format!("{name}Request"));
    let token = match request_type
        .fields
        .iter()
        .any(|field| field.name == "client_token")
    {
        true => {
            "fn client_token(request: &mut Self::Request) -> Option<&mut Option<String>> { Some(&mut request.client_token) }"
        }
        false => "",
    };
    format!(
        "#[derive(Debug)]
        pub struct {name};
        impl Operation for {name} {{
            type Request = pb::{name}Request;
            type Response = pb::{name}Response;
            const FACTS: &'static Facts = &Facts {{
                name: {name:?}, class: Class::{class}, declared: &{:?}, resource: {resource:?},
            }};
            fn resource_name({request}: &Self::Request) -> String {{ {identity} }}
            {token}
        }}",
        operation.errors
    )
}

/// How the facade makes each call.
pub fn calls(contract: &Contract) -> String {
    let call = |found: &Operation| {
        let name = &found.name;
        let module = snake(name);
        format!(
            "impl Call for operation::{name} {{
                type Input = sdk::{module}::builders::{name}InputBuilder;
                type Output = sdk::{module}::{name}Output;
                type Error = sdk::{module}::{name}Error;
                fn send(input: Self::Input, client: &Client) -> impl Future<Output = SdkResult<Self>> + Send {{
                    input.send_with(client)
                }}
            }}"
        )
    };
    let forwarded = |found: &Operation| {
        let name = &found.name;
        format!("forwarded!({name}, pb::{name}Request, pb::{name}Response);")
    };
    let calls = contract.operations.iter().map(call);
    calls
        .chain(contract.inventions.iter().map(forwarded))
        .collect()
}

/// `ProtonService`, one method an operation.
pub fn service(contract: &Contract) -> String {
    let methods: String = contract.operations.iter().map(method).collect();
    format!("#[tonic::async_trait] impl ProtonService for Facade {{ {methods} }}")
}

fn method(found: &Operation) -> String {
    let name = &found.name;
    format!(
        "async fn {}(&self, request: Request<pb::{name}Request>) -> Result<Response<pb::{name}Response>, Status> {{
            self.call::<operation::{name}>(request).await
        }}",
        snake(name)
    )
}

/// `ProtonStreamingService`, one method a paginator, a waiter and an invention.
pub fn streaming_service(contract: &Contract) -> String {
    let page = |found: &Operation| {
        let name = &found.name;
        stream(
            name,
            name,
            &format!("self.pages::<operation::{name}>(request)"),
        )
    };
    let wait = |found: &Wait| {
        let reads = &found.reads;
        stream(
            &found.name,
            reads,
            &format!("self.wait::<{}>(request)", found.name),
        )
    };
    let methods: String = contract
        .pages
        .iter()
        .map(page)
        .chain(contract.waits.iter().map(wait))
        .chain(contract.inventions.iter().map(method))
        .collect();
    let pages: String = contract.pages.iter().map(paginated).collect();
    let waits: String = contract.waits.iter().map(waiter).collect();
    format!(
        "{pages} {waits} #[tonic::async_trait] impl ProtonStreamingService for Facade {{ {methods} }}"
    )
}

fn stream(method: &str, message: &str, body: &str) -> String {
    format!(
        "type {method}Stream = Responses<pb::{message}Response>;
        async fn {}(&self, request: Request<pb::{message}Request>) -> Result<Response<Self::{method}Stream>, Status> {{
            {body}.await
        }}",
        snake(method)
    )
}

fn paginated(operation: &Operation) -> String {
    format!(
        "impl Paginated for operation::{} {{
            fn next_token(page: &Self::Response) -> Option<&String> {{ page.next_token.as_ref() }}
            fn ask_from(request: &mut Self::Request, token: String) {{ request.next_token = Some(token); }}
        }}",
        operation.name
    )
}

fn waiter(wait: &Wait) -> String {
    let (status, parents) = wait.path.split_last().expect("a path has a last part");
    let descent: String = parents
        .iter()
        .enumerate()
        .map(|(depth, part)| {
            let holder = if depth == 0 { "response" } else { "holder" };
            format!("let holder = {holder}.{part}.as_ref()?;")
        })
        .collect();
    let resource = arn_below("response", parents);
    let message = &wait.message;
    let states = &wait.status.name;
    let list = |names: &[String]| {
        let states: Vec<String> = names
            .iter()
            .map(|name| format!("pb::{states}::{}", camel(name)))
            .collect();
        states.join(" | ")
    };
    let success = match wait.success.as_slice() {
        [] => String::new(),
        names => format!("{} => Outcome::Success,", list(names)),
    };
    format!(
        "struct {name};
        impl Wait for {name} {{
            type Reads = operation::{reads};
            const SUCCEEDS_WHEN_GONE: bool = {gone};
            const POLL: Duration = Duration::from_secs({poll});
            fn resource(response: &pb::{reads}Response) -> Option<&String> {{
                {resource}
            }}
            fn state(response: &pb::{reads}Response) -> Option<State> {{
                {descent}
                Some(State {{ status: holder.{status}, message: holder.{message}.clone().unwrap_or_default() }})
            }}
            fn outcome(status: i32) -> Outcome {{
                match pb::{states}::try_from(status).unwrap_or_default() {{
                    {success}
                    {failure} => Outcome::Failure,
                    _ => Outcome::Wait,
                }}
            }}
        }}",
        name = wait.name,
        reads = wait.reads,
        gone = wait.succeeds_when_gone,
        poll = wait.poll_seconds,
        failure = list(&wait.failure),
    )
}

/// The ARN of the last part on the way down to a status, or of the last one that is there.
fn arn_below(holder: &str, parts: &[String]) -> String {
    let Some((part, below)) = parts.split_first() else {
        return format!("Some(&{holder}.arn)");
    };
    let below = arn_below(part, below);
    match holder {
        "response" => format!("let {part} = response.{part}.as_ref()?; {below}"),
        _ => format!(
            "let Some({part}) = {holder}.{part}.as_ref() else {{ return Some(&{holder}.arn); }};
            {below}"
        ),
    }
}

/// What the control plane answers: a handler an operation, found by its name.
pub fn dispatch(contract: &Contract) -> String {
    let handler = |found: &Operation| {
        let name = &found.name;
        format!(
            "fn {}(&self, _caller: &Caller, _request: pb::{name}Request) -> impl Future<Output = Result<pb::{name}Response, Error>> + Send {{
                std::future::ready(Err(Error::unknown_operation({name:?})))
            }}",
            snake(name)
        )
    };
    let arm = |found: &Operation| {
        format!(
            "{:?} => answer::<operation::{}, _>(gate, caller, body, audit, |request| plane.{}(caller, request)).await,",
            found.name,
            found.name,
            snake(&found.name)
        )
    };
    let handlers: String = everything(contract).map(handler).collect();
    let arms: String = everything(contract).map(arm).collect();
    format!(
        "/// The operations of Proton. One that is not overridden answers `UnknownOperationException`.
        pub(crate) trait Proton: Send + Sync {{ {handlers} }}

        /// Finds the operation by its name, reads its request, has it done and writes its response.
        pub(super) async fn dispatch(plane: &impl Proton, gate: Option<Gate<'_>>, caller: &Caller, operation: &str, body: &[u8], audit: &mut Audit) -> Result<Vec<u8>, Error> {{
            match operation {{ {arms} _ => Err(Error::unknown_operation(operation)) }}
        }}"
    )
}

/// What an operation is about: its name without the verb.
fn subject(operation: &str) -> &str {
    const VERBS: [&str; 8] = [
        "Accept", "Cancel", "Create", "Delete", "Get", "List", "Reject", "Update",
    ];
    VERBS
        .iter()
        .find_map(|verb| operation.strip_prefix(verb))
        .unwrap_or(operation)
}
