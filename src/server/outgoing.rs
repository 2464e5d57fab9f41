//! What a connection writes, gathered until its turn is over.
//!
//! HTTP/2 writes frame by frame: an answer's headers and message, its trailers, then the next
//! answer. Each write is a system call and a packet, which cost more than copying what is in them;
//! so everything that a connection writes in one turn leaves in one piece.
//!
//! A turn also reads no more than its part: a client that sends frames as fast as it can would else
//! keep its connection at work for a long time, while others on the same thread wait for theirs.

use std::{
    error::Error,
    future::poll_fn,
    io,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::yield_now,
};

/// No more than this waits: then the connection writes no faster than its client reads.
const MOST: usize = 64 << 10;

/// What a turn reads: as much as HTTP/2 asks for at once, some hundred small frames.
const PART: usize = 8 << 10;

/// A connection's stream. Clones are the same one.
pub(crate) struct Outgoing<S>(Arc<Mutex<Gathered<S>>>);

struct Gathered<S> {
    stream: S,
    /// Holds no memory between turns that left nothing behind.
    waiting: Vec<u8>,
    /// How much of it has left.
    sent: usize,
    /// How much this turn may still read.
    part: usize,
}

impl<S: AsyncWrite + Unpin> Outgoing<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self(Arc::new(Mutex::new(Gathered {
            stream,
            waiting: Vec::new(),
            sent: 0,
            part: PART,
        })))
    }

    /// Gives the connection its turns until it ends, and sends after each what it wrote.
    pub(crate) async fn turns<C, E>(
        &self,
        mut connection: Pin<&mut C>,
    ) -> Result<(), Box<dyn Error + Send + Sync>>
    where
        C: Future<Output = Result<(), E>>,
        E: Error + Send + Sync + 'static,
    {
        poll_fn(|context| {
            self.gathered().part = PART;
            let turn = connection.as_mut().poll(context)?;
            // What cannot leave now leaves in a later turn; a connection that has ended has sent all.
            let _ = self.gathered().poll_send(context)?;
            turn.map(Ok)
        })
        .await
    }
}

impl<S> Outgoing<S> {
    fn gathered(&self) -> MutexGuard<'_, Gathered<S>> {
        let gathered = self.0.lock();
        gathered.expect("nothing panics while it holds the stream")
    }
}

impl<S> Clone for Outgoing<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: AsyncWrite + Unpin> Gathered<S> {
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.waiting.len() {
            let rest = &self.waiting[self.sent..];
            match ready!(Pin::new(&mut self.stream).poll_write(context, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.sent += sent,
            }
        }
        self.waiting = Vec::new();
        self.sent = 0;
        Pin::new(&mut self.stream).poll_flush(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Outgoing<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut gathered = self.gathered();
        if gathered.part == 0 {
            // Whoever waits goes first, also those whose bytes the runtime has yet to notice.
            ready!(pin!(yield_now()).poll(context));
        }
        let most = gathered.part.min(into.remaining());
        let mut part = ReadBuf::new(into.initialize_unfilled_to(most));
        ready!(Pin::new(&mut gathered.stream).poll_read(context, &mut part))?;
        let read = part.filled().len();
        gathered.part -= read;
        into.advance(read);
        Poll::Ready(Ok(()))
    }
}

/// Not vectored on purpose: HTTP/2 then writes small messages together with what is around them.
impl<S: AsyncWrite + Unpin> AsyncWrite for Outgoing<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut gathered = self.gathered();
        if gathered.waiting.len() == MOST {
            ready!(gathered.poll_send(context))?;
        }
        if gathered.waiting.capacity() == 0 {
            gathered.waiting.reserve_exact(MOST);
        }
        let taken = bytes.len().min(MOST - gathered.waiting.len());
        gathered.waiting.extend_from_slice(&bytes[..taken]);
        Poll::Ready(Ok(taken))
    }

    /// The end of the turn does it.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut gathered = self.gathered();
        ready!(gathered.poll_send(context))?;
        Pin::new(&mut gathered.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    /// Counts what arrives.
    #[derive(Default)]
    struct Packets(Vec<usize>);

    impl AsyncWrite for Packets {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.0.push(bytes.len());
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    async fn turns<S: AsyncWrite + Unpin>(
        outgoing: &Outgoing<S>,
        connection: impl Future<Output = io::Result<()>>,
    ) {
        outgoing.turns(std::pin::pin!(connection)).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_written_in_one_turn_leaves_in_one_piece() {
        let outgoing = Outgoing::new(Packets::default());
        let mut writer = outgoing.clone();
        turns(&outgoing, async {
            for _ in 0..2 {
                writer.write_all(b"headers").await?;
                writer.flush().await?;
                writer.write_all(b"message").await?;
                writer.flush().await?;
                tokio::task::yield_now().await;
            }
            Ok(())
        })
        .await;
        assert_eq!(outgoing.gathered().stream.0, [14, 14]);
        assert_eq!(outgoing.gathered().waiting.capacity(), 0);
    }

    #[tokio::test]
    async fn more_than_the_most_leaves_before_the_turn_is_over() {
        let outgoing = Outgoing::new(Packets::default());
        let mut writer = outgoing.clone();
        turns(&outgoing, async { writer.write_all(&[0; MOST + 1]).await }).await;
        assert_eq!(outgoing.gathered().stream.0, [MOST, 1]);
    }

    #[tokio::test]
    async fn a_slow_client_gets_everything_and_holds_the_connection_back() {
        let (client, mut reading) = duplex(1000);
        let outgoing = Outgoing::new(client);
        let mut writer = outgoing.clone();
        let sent: Vec<u8> = (0..=u8::MAX).cycle().take(3 * MOST).collect();
        let connection = async {
            writer.write_all(&sent).await?;
            writer.shutdown().await
        };
        let mut received = Vec::new();
        let (_, read) = tokio::join!(
            turns(&outgoing, connection),
            reading.read_to_end(&mut received)
        );
        read.unwrap();
        assert!(received == sent);
    }

    #[tokio::test]
    async fn a_turn_that_has_read_its_part_reads_no_more() {
        let (client, mut writing) = duplex(8 * PART);
        writing.write_all(&[0; 8 * PART]).await.unwrap();
        let outgoing = Outgoing::new(client);
        let mut reader = outgoing.clone();
        let read = Cell::new(0);
        let connection = async {
            while read.get() < 8 * PART {
                read.set(read.get() + reader.read(&mut [0; PART / 2]).await?);
            }
            Ok(())
        };
        let others = async {
            for turn in 1..=8 {
                assert_eq!(read.get(), turn * PART);
                yield_now().await;
            }
        };
        tokio::join!(biased; turns(&outgoing, connection), others);
    }

    #[tokio::test]
    async fn a_client_that_is_gone_ends_the_connection() {
        let (client, reading) = duplex(1000);
        drop(reading);
        let outgoing = Outgoing::new(client);
        let mut writer = outgoing.clone();
        let connection = std::pin::pin!(async {
            writer.write_all(b"x").await?;
            std::future::pending::<io::Result<()>>().await
        });
        assert!(outgoing.turns(connection).await.is_err());
    }
}
