//! What must be there before the first claim: the StorageClasses. Created once at the start and never again, so that a user
//! may change or delete them.

use std::time::Duration;

use k8s_openapi::api::storage::v1::StorageClass;
use kube::Client;
use kube::api::{Api, PostParams};
use tokio::time::sleep;

use super::volume::classes;

const PAUSE: Duration = Duration::from_millis(200);

/// Creates the classes, as soon as the API server lets it.
pub(crate) async fn ensure_classes(client: Client) {
    let api: Api<StorageClass> = Api::all(client);
    for class in classes() {
        ensure(&api, &class).await;
    }
}

async fn ensure(api: &Api<StorageClass>, class: &StorageClass) {
    loop {
        match api.create(&PostParams::default(), class).await {
            Ok(_) => return,
            Err(kube::Error::Api(status)) if status.code == 409 => return,
            Err(error) => {
                tracing::debug!(%error, "a StorageClass was not created yet");
                sleep(PAUSE).await;
            }
        }
    }
}
