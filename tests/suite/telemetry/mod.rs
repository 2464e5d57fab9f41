//! What a server tells of its calls, its work and itself. It is put together as `serve` does it, on
//! loopback.

mod metrics;
mod traces;

use std::net::SocketAddr;

use proton_grpc::{
    api::pb::{
        proton_service_client::ProtonServiceClient,
        proton_streaming_service_client::ProtonStreamingServiceClient,
    },
    cli::{
        config::Settings,
        serve::{End, Serving},
    },
    server::Listen,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::transport::Channel;

struct World {
    serving: Serving,
    channel: Channel,
    _directory: TempDir,
}

impl World {
    async fn with(flags: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data = format!("--data-dir={}", directory.path().display());
        let flags = [
            "--listen=127.0.0.1:0",
            "--aws-json=127.0.0.1:0",
            "--workers=2",
            &data,
        ]
        .into_iter()
        .chain(flags.iter().copied());
        let settings = Settings::read(flags.map(Into::into), |_| None).unwrap();
        let serving = Serving::start(&settings).await.unwrap();
        let address = format!("http://{}", serving.grpc());
        Self {
            serving,
            channel: Channel::from_shared(address).unwrap().connect_lazy(),
            _directory: directory,
        }
    }

    fn client(&self) -> ProtonServiceClient<Channel> {
        ProtonServiceClient::new(self.channel.clone())
    }

    fn streaming(&self) -> ProtonStreamingServiceClient<Channel> {
        ProtonStreamingServiceClient::new(self.channel.clone())
    }

    /// A request on the AWS-JSON front; its status.
    async fn aws_json(&self, operation: &str, headers: &str, body: &str) -> u16 {
        let head = format!(
            "POST / HTTP/1.1\r\nhost: proton\r\nconnection: close\r\ncontent-length: {}\r\n\
             x-amz-target: AwsProton20200720.{operation}\r\n{headers}\r\n",
            body.len()
        );
        let address = address(self.serving.aws_json().unwrap());
        exchange(address, &format!("{head}{body}")).await.0
    }

    async fn stop(self) {
        let ended = self
            .serving
            .stop(std::time::Duration::ZERO, std::future::pending());
        assert!(matches!(ended.await, End::Drained));
    }
}

fn address(listen: &Listen) -> SocketAddr {
    match listen {
        Listen::Tcp(address) => *address,
        Listen::Unix(_) => unreachable!("a port was asked for"),
    }
}

/// Says this over HTTP/1.1; the answer's status and body.
async fn exchange(address: SocketAddr, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}
