//! What must be there before the first claim: the default StorageClass. Created once at the start and never again, so
//! that a user may change or delete it.

use std::time::Duration;

use k8s_openapi::api::storage::v1::StorageClass;
use kube::Client;
use kube::api::{Api, PostParams};
use tokio::time::sleep;

use super::volume::default_class;

const PAUSE: Duration = Duration::from_millis(200);

/// Creates the class, as soon as the API server lets it.
pub(crate) async fn ensure_default_class(client: Client) {
    let classes: Api<StorageClass> = Api::all(client);
    loop {
        match classes.create(&PostParams::default(), &default_class()).await {
            Ok(_) => return,
            Err(kube::Error::Api(status)) if status.code == 409 => return,
            Err(error) => {
                tracing::debug!(%error, "the default StorageClass was not created yet");
                sleep(PAUSE).await;
            }
        }
    }
}
