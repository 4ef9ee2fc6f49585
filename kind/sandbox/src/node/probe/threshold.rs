//! Counts tries against a probe's thresholds. Pure.

/// The state of one probe.
#[derive(Clone, Debug)]
pub(super) struct Threshold {
    success: i32,
    failure: i32,
    run: i32,
    last: Option<bool>,
    decided: Option<bool>,
}

impl Threshold {
    pub(super) fn new(success: i32, failure: i32) -> Threshold {
        Threshold { success: success.max(1), failure: failure.max(1), run: 0, last: None, decided: None }
    }

    /// Notes a try; answers when enough equal ones in a row change what is decided.
    pub(super) fn note(&mut self, healthy: bool) -> Option<bool> {
        self.run = if self.last == Some(healthy) { self.run.saturating_add(1) } else { 1 };
        self.last = Some(healthy);
        let enough = self.run >= if healthy { self.success } else { self.failure };
        if !enough || self.decided == Some(healthy) {
            return None;
        }
        self.decided = Some(healthy);
        Some(healthy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_enough_failures_in_a_row_make_a_container_unhealthy() {
        let mut threshold = Threshold::new(1, 3);
        let tries = [true, false, false, true, false, false, false, false, true];
        let told: Vec<_> = tries.into_iter().map(|healthy| threshold.note(healthy)).collect();
        assert_eq!(told, [Some(true), None, None, None, None, None, Some(false), None, Some(true)]);
    }
}
