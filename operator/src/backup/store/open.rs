//! Opens stores. Credentials come from the environment, as the tools of each store take them; none is in an argument, a URL or a log.

use super::{Parts, Store, StoreError, words};
use etcd_operator_core::backup::location::{Bucket, Location, readable};
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::multipart::MultipartStore;
use object_store::{Certificate, ClientOptions, ObjectStore};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A store that says nothing for so long is taken for gone; what it was asked is asked again.
const STALLED: Duration = Duration::from_secs(60);
/// A connection is made within this time, or not at all.
const CONNECTING: Duration = Duration::from_secs(10);

/// How a store is reached, beside its location.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where a service answers that speaks a store's language, as `https://minio.example.com:9000`.
    pub endpoint: Option<String>,
    /// The region of the bucket.
    pub region: Option<String>,
    /// The bucket stands in the path of addresses, and not in the name of the host.
    pub path_style: bool,
    /// Certificates of the authorities that the service is trusted by, as PEM.
    pub authorities: Vec<u8>,
}

/// Opens a store. Nothing is asked of it yet; a folder is made if it is not there.
pub fn open(location: Location, options: &Options) -> Result<Store, StoreError> {
    let failed = |answer: String| StoreError {
        store: location.to_string(),
        what: "be opened".to_owned(),
        answer,
        is_missing: false,
    };
    let unusable = |error: object_store::Error| failed(readable(&words(&error)));
    let client = client(options).map_err(unusable)?;
    let (objects, parts, folder) = match &location {
        Location::S3(bucket) => remote(s3(bucket, options, client).map_err(unusable)?, bucket),
        Location::Gcs(bucket) => {
            let builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(&bucket.name);
            let builder = builder.with_client_options(client);
            remote(builder.build().map_err(unusable)?, bucket)
        }
        Location::Azure(bucket) => remote(azure(bucket, options, client).map_err(unusable)?, bucket),
        Location::Folder(path) => {
            local(Path::new(path)).map_err(|error| failed(readable(&error.to_string())))?
        }
    };
    Ok(Store { location, folder, objects, parts })
}

type Opened = (Arc<dyn ObjectStore>, Parts, String);

fn remote<S: ObjectStore + MultipartStore>(store: S, bucket: &Bucket) -> Opened {
    let store = Arc::new(store);
    (store.clone(), Parts::Remote(store), bucket.folder.clone())
}

/// What is written is on the disk before it counts: a backup that a power failure takes is none.
fn local(path: &Path) -> Result<Opened, Box<dyn std::error::Error>> {
    std::fs::create_dir_all(path)?;
    let store = LocalFileSystem::new_with_prefix(path)?.with_fsync(true);
    Ok((Arc::new(store), Parts::Folder(PathBuf::from(path)), String::new()))
}

fn client(options: &Options) -> object_store::Result<ClientOptions> {
    let plain = options.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    // A snapshot may take hours to come over; what stands still does not.
    let client = ClientOptions::new().with_timeout_disabled().with_read_timeout(STALLED);
    let client = client.with_connect_timeout(CONNECTING).with_allow_http(plain);
    let authorities = Certificate::from_pem_bundle(&options.authorities)?;
    Ok(authorities.into_iter().fold(client, ClientOptions::with_root_certificate))
}

fn s3(
    bucket: &Bucket,
    options: &Options,
    client: ClientOptions,
) -> object_store::Result<impl ObjectStore + MultipartStore + use<>> {
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(&bucket.name)
        .with_client_options(client)
        .with_virtual_hosted_style_request(!options.path_style);
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(region) = &options.region {
        builder = builder.with_region(region);
    }
    builder.build()
}

fn azure(
    bucket: &Bucket,
    options: &Options,
    client: ClientOptions,
) -> object_store::Result<impl ObjectStore + MultipartStore + use<>> {
    let builder =
        MicrosoftAzureBuilder::from_env().with_container_name(&bucket.name).with_client_options(client);
    match &options.endpoint {
        Some(endpoint) => builder.with_endpoint(endpoint.clone()).build(),
        None => builder.build(),
    }
}
