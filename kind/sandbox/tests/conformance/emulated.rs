//! The sandbox's arm: API server and controllers in this process, no node.

use std::sync::Arc;

use sandbox::apiserver::inputs::SystemClock;
use sandbox::apiserver::{ApiServer, ApiServerConfig};
use sandbox::controllers::Controllers;

use crate::arm::Arm;

/// A sandbox in this process; dropping it ends its controllers.
pub(crate) struct Emulated {
    pub(crate) server: ApiServer,
    _controllers: Option<Controllers>,
}

impl Emulated {
    /// A new sandbox, with or without controllers, that says it trusts this authority.
    pub(crate) fn start(with_controllers: bool, authority: String) -> Self {
        let server = ApiServer::new(ApiServerConfig {
            // As the real arm: whoever asks for a token gets one, pods have no node to run on.
            history_length: 100_000,
            root_certificate: authority,
            ..ApiServerConfig::default()
        });
        let controllers = with_controllers
            .then(|| Controllers::start(server.client_of("kube-controller-manager"), Arc::new(SystemClock)));
        Self { server, _controllers: controllers }
    }

    /// Its API.
    pub(crate) fn arm(&self) -> Arm {
        Arm::new("sandbox", self.server.client(), None)
    }
}
