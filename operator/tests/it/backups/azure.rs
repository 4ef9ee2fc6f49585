//! Backups in a store that speaks Azure Blob Storage, as it should and as it should not. Needs `ci/images stores`, so that these run in
//! `ci/full --only stores`.

use super::ground::{Ground, Restored, client, fill_for_parts};
use super::proxy::{Behaviour, Proxy, Request};
use crate::support::etcd::{RealEtcd, VERSIONS, cache, free_address};
use object_store::ClientOptions;
use object_store::azure::{AzureAccessKey, AzureAuthorizer, AzureCredential};
use object_store::client::{HttpConnector, HttpRequest, HttpRequestBody, ReqwestConnector};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// The account that azurite has, and its key, both of its documentation.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
/// Another key, of the same length.
const WRONG_KEY: &str =
    "AAAAvdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// The store, what is between it and us, and an etcd with data.
struct Place {
    ground: Ground,
    etcd: RealEtcd,
    proxy: Proxy,
    azurite: Child,
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.azurite.kill();
        let _ = self.azurite.wait();
    }
}

impl Place {
    async fn open(behaviour: impl Fn(&Request) -> Behaviour + Send + Sync + 'static) -> Place {
        let ground = Ground::new(VERSIONS[1]);
        let address: SocketAddr = free_address();
        let program = cache().join("tools/azurite/node_modules/azurite/dist/src/blob/main.js");
        assert!(program.exists(), "{} is missing; ci/images stores installs it", program.display());
        let azurite = Command::new("node")
            .arg(program)
            .args(["--blobHost", "127.0.0.1", "--blobPort", &address.port().to_string()])
            .args(["--silent", "--skipApiVersionCheck", "--disableTelemetry", "--location"])
            .arg(ground.path("azurite"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let proxy = Proxy::before(address, behaviour).await;
        let place = Place { ground, etcd: RealEtcd::start(), proxy, azurite };
        make_container(address).await;
        fill_for_parts(&mut client(&place.etcd.endpoint().to_string()).await).await;
        place
    }

    fn command(&self, command: &str, key: &str) -> Command {
        let mut program = self.ground.program(command, "az://backups/etcd");
        program
            .args(["--store-endpoint", &format!("{}/{ACCOUNT}", self.proxy.url())])
            .env("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT)
            .env("AZURE_STORAGE_ACCOUNT_KEY", key);
        program
    }

    fn backup(&self, key: &str) -> Command {
        let mut program = self.command("backup", key);
        program.args(["--endpoints", &self.etcd.endpoint().to_string()]);
        program
    }

    fn list(&self) -> String {
        Ground::said(self.command("list", KEY).args(["-o", "json"])).succeeded().output
    }
}

/// Makes the container, which users make before they make backups.
async fn make_container(address: SocketAddr) {
    let url = format!("http://{address}/{ACCOUNT}/backups?restype=container");
    let credential = AzureCredential::AccessKey(AzureAccessKey::try_new(KEY).unwrap());
    let mut request = HttpRequest::new(HttpRequestBody::empty());
    *request.method_mut() = http::Method::PUT;
    *request.uri_mut() = url.parse().unwrap();
    request.headers_mut().insert("content-length", http::HeaderValue::from_static("0"));
    AzureAuthorizer::new(&credential, ACCOUNT).try_authorize(&mut request).unwrap();
    let client = ReqwestConnector::default().connect(&ClientOptions::new().with_allow_http(true)).unwrap();
    let answer = client.execute(request).await.unwrap();
    assert_eq!(answer.status(), http::StatusCode::CREATED);
}

fn is_part(request: &Request) -> bool {
    request.method == "PUT" && request.query.contains("comp=block&")
}

#[ignore = "needs ci/images stores"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_several_parts_is_proved_restored_and_deleted() {
    let place = Place::open(|_| Behaviour::Forward).await;
    let name = Ground::said(&mut place.backup(KEY)).succeeded().output.trim().to_owned();
    assert!(place.proxy.seen(is_part), "it had several parts");
    assert!(place.list().contains(&name));
    let mut restore = place.command("restore", KEY);
    restore
        .args(["--backup", &name, "--initial-cluster-token", "another", "--data-dir"])
        .arg(place.ground.path("data"));
    Ground::said(&mut restore).succeeded();
    let restored = Restored::start(&place.ground, "data");
    let had = client(&place.etcd.endpoint().to_string()).await.get("key-000", None).await.unwrap();
    let has = client(restored.url()).await.get("key-000", None).await.unwrap();
    assert_eq!(had.kvs()[0].value(), has.kvs()[0].value());
    Ground::said(place.command("delete", KEY).args(["--backup", &name])).succeeded();
    assert_eq!(place.list().trim(), "[]");
}

#[ignore = "needs ci/images stores"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_throttles_fails_and_cuts_for_a_while_gets_the_backup_all_the_same() {
    let place = Place::open(|request| match request.number % 7 {
        1 => Behaviour::Answer(503, "ServerBusy", "The server is busy."),
        3 => Behaviour::Answer(500, "InternalError", "The server encountered an internal error."),
        5 => Behaviour::Cut,
        _ => Behaviour::Forward,
    })
    .await;
    let name = Ground::said(&mut place.backup(KEY)).succeeded().output.trim().to_owned();
    let mut verify = place.command("verify", KEY);
    Ground::said(verify.args(["--backup", &name])).succeeded();
}

#[ignore = "needs ci/images stores"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_and_a_container_that_is_missing_are_told_in_its_own_words() {
    let place = Place::open(|_| Behaviour::Forward).await;
    let said = Ground::said(&mut place.backup(WRONG_KEY)).refused("az://backups/etcd failed to");
    assert!(said.errors.contains("AuthorizationFailure"), "{}", said.errors);
    assert!(!said.errors.contains(WRONG_KEY), "{}", said.errors);
    let mut elsewhere = place.ground.program("backup", "az://missing");
    elsewhere
        .args(["--store-endpoint", &format!("{}/{ACCOUNT}", place.proxy.url())])
        .args(["--endpoints", &place.etcd.endpoint().to_string()])
        .env("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT)
        .env("AZURE_STORAGE_ACCOUNT_KEY", KEY);
    Ground::said(&mut elsewhere).refused("ContainerNotFound");
}

#[ignore = "needs ci/images stores"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_that_expire_before_the_parts_are_put_together_leave_no_backup() {
    let place = Place::open(|request| {
        if request.query.contains("comp=blocklist") {
            Behaviour::Answer(403, "AuthenticationFailed", "The credentials have expired.")
        } else {
            Behaviour::Forward
        }
    })
    .await;
    Ground::said(&mut place.backup(KEY)).refused("The credentials have expired.");
    assert_eq!(place.list().trim(), "[]");
}
