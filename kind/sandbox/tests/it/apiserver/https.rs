//! HTTPS, tokens and the kubeconfig.

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{Api, ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use sandbox::apiserver::{ApiServer, ApiServerConfig, ServerCertificate, kubeconfig};

use super::refusal;

async fn client_with(server: &str, authority: &str, token: &str) -> Client {
    let text = kubeconfig("test", server, authority, token);
    let config = Kubeconfig::from_yaml(&text).unwrap();
    let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

#[tokio::test]
async fn a_kubeconfig_opens_the_server_and_a_wrong_token_does_not() {
    let certificate = ServerCertificate::generate(&[]).unwrap();
    let authority = certificate.authority().to_owned();
    let server = ApiServer::new(ApiServerConfig {
        administrator_token: Some("secret".into()),
        root_certificate: authority.clone(),
        ..ApiServerConfig::default()
    });
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(server.clone().serve(listener, certificate));

    let administrator = client_with(&url, &authority, "secret").await;
    let namespaces = Api::<Namespace>::all(administrator.clone()).list(&ListParams::default()).await.unwrap();
    assert_eq!(namespaces.items.len(), 4);
    let stranger = client_with(&url, &authority, "guess").await;
    assert_eq!(refusal(Api::<Namespace>::all(stranger).list(&ListParams::default()).await).code, 401);

    let accounts = Api::<ServiceAccount>::namespaced(administrator.clone(), "default");
    let spec = TokenRequestSpec { expiration_seconds: Some(3600), ..TokenRequestSpec::default() };
    let request = TokenRequest { spec, ..TokenRequest::default() };
    let token = accounts.create_token_request("default", &PostParams::default(), &request).await.unwrap();
    let account = client_with(&url, &authority, &token.status.unwrap().token).await;
    let refused = refusal(Api::<Namespace>::all(account.clone()).get("default").await);
    assert_eq!(refused.code, 403, "it is known, and has no rights: {}", refused.message);
    accounts.delete("default", &Default::default()).await.unwrap();
    assert_eq!(refusal(Api::<Namespace>::all(account).get("default").await).code, 401, "the account is gone");
}
