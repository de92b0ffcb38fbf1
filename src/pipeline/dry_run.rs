//! The last stage of a dry run: records are handed out, and nothing is sent or saved.

use tokio::sync::mpsc::Receiver;
use tracing::error;

use super::{
    ledger::Ledger,
    live_report::LiveReport,
    merge::{End, Work},
};
use crate::record::batch::Batch;

/// Hands each record to `print`, in the order in which they would be sent.
pub(super) async fn run<'a>(
    mut work: Receiver<Work<'a>>,
    ledger: &mut Ledger<'_>,
    live: &LiveReport,
    print: &(dyn Fn(&[u8]) + Send + Sync),
) -> End<'a> {
    let print_all = |batch: &Batch| {
        (0..batch.acks.len()).for_each(|place| print(batch.record(place)));
    };
    while let Some(piece) = work.recv().await {
        match piece {
            Work::Batch(outgoing) => print_all(&outgoing.batch),
            Work::Hold(time) => ledger.hold(time),
            Work::SetAside(aside) if aside.is_sent => {}
            Work::SetAside(aside) => {
                error!("alert {} would be set aside: {}", aside.id_in_brief(), aside.reason_in_brief());
                live.update(|report| report.alerts_set_aside += 1);
            }
            Work::End(end) => {
                end.batch.iter().for_each(|outgoing| print_all(&outgoing.batch));
                return end;
            }
        }
    }
    End::cut_off()
}
