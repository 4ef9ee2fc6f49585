//! Taking connections from a listener, for every server of this workspace's clusters. What a connection is for is its
//! server's business.

use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// How long a failed accept waits before the next. Out of file descriptors, most likely: the next would fail at once too.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// Serves every connection in a task of its own until the future is dropped, which ends them all.
pub async fn serve_each<Served>(listener: TcpListener, mut serve: impl FnMut(TcpStream) -> Served)
where
    Served: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            Some(_ended) = connections.join_next(), if !connections.is_empty() => {}
            stream = accept(&listener) => drop(connections.spawn(serve(stream))),
        }
    }
}

/// The next connection. That one could not be accepted is the loss of who asked for it: others may still come. May be dropped
/// at any moment without losing a connection.
pub async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    async fn greet(mut stream: TcpStream) {
        let greeted = stream.write_all(b"hello").await;
        greeted.unwrap();
        // Keeps the connection until its server ends.
        std::future::pending::<()>().await;
    }

    #[tokio::test]
    async fn connections_are_served_beside_each_other_and_end_with_their_server() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(serve_each(listener, greet));
        let mut clients = Vec::new();
        for _ in 0..3 {
            let mut client = TcpStream::connect(address).await.unwrap();
            let mut said = [0; 5];
            client.read_exact(&mut said).await.unwrap();
            assert_eq!(&said, b"hello");
            clients.push(client);
        }
        server.abort();
        for mut client in clients {
            assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0, "the connection has ended");
        }
    }
}
