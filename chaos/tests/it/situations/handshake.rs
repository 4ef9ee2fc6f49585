//! What a member's port says to whoever knocks: in plain text, by TLS, with a certificate or without. Through the API server, so that no test
//! needs a route to a pod.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use chaos::subject::handshake::{Dial, Shaken, dial};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::Api;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// A port that says nothing for so long says nothing.
const SILENCE: Duration = Duration::from_secs(3);

/// What came of a handshake.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    /// The serial number of the certificate that the member showed.
    pub(super) serial: String,
    /// What it answered to a request, if it did.
    pub(super) answer: Option<String>,
}

/// An entry of a Secret.
async fn entry(secrets: &Api<Secret>, name: &str, entry: &str) -> Result<Vec<u8>> {
    let secret = secrets.get(name).await.with_context(|| format!("Secret {name}"))?;
    let data = secret.data.and_then(|mut data| data.remove(entry));
    Ok(data.with_context(|| format!("Secret {name} has no {entry}"))?.0)
}

/// What a port answers to a request in plain text; nothing if it hangs up, or does not listen.
pub(super) async fn plain(pods: &Api<Pod>, pod: &str, port: u16) -> Option<String> {
    let mut forwarder = pods.portforward(pod, &[port]).await.ok()?;
    let answer = ask(forwarder.take_stream(port)?).await;
    forwarder.abort();
    answer
}

/// The handshake with a port, by the authorities in one entry and, if any is named, with the certificate of a Secret for clients.
pub(super) async fn by_tls(
    (pods, secrets): (&Api<Pod>, &Api<Secret>),
    (pod, port): (&str, u16),
    server_name: &str,
    authorities: (&str, &str),
    client: Option<&str>,
) -> Result<Shown> {
    let authorities = &entry(secrets, authorities.0, authorities.1).await?;
    let identity = match client {
        None => None,
        Some(secret) => {
            Some((entry(secrets, secret, "tls.crt").await?, entry(secrets, secret, "tls.key").await?))
        }
    };
    let identity = identity.as_ref().map(|(chain, key)| (chain.as_slice(), key.as_slice()));
    let Shaken { told, connection } =
        dial(&Dial { pods, pod, port, server_name, authorities, identity }).await?;
    let Some(mut connection) = connection else { bail!("{told:?}") };
    let answer = ask(&mut connection.stream).await;
    Ok(Shown { serial: told.serial.context("no certificate")?, answer })
}

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Option<String> {
    let request = b"GET /version HTTP/1.1\r\nHost: member\r\nConnection: close\r\n\r\n";
    let mut said = Vec::new();
    let exchange = async {
        stream.write_all(request).await.ok()?;
        // Whoever hangs up may have said something before.
        let _ended = stream.read_to_end(&mut said).await;
        Some(())
    };
    let _in_time = tokio::time::timeout(SILENCE, exchange).await;
    (!said.is_empty()).then(|| String::from_utf8_lossy(&said).into_owned())
}
