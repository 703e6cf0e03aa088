//! Pods go by their node's address outside of the range in which theirs are known. As in kops
//! (`nodeup/pkg/model/containerd.go`, `cni-iptables-setup`).

use super::{Context, File, NodePlan, Start, Unit};

const SCRIPT: &str = "/opt/kops/conf/pod-masquerade.sh";

pub(super) fn render(context: &Context<'_>, plan: &mut NodePlan) {
    let networks = &context.config.networks;
    let (Some(pods), Some(known)) = (networks.pods, networks.non_masquerade) else { return };
    if !networks.routes_pods() || known.prefix_len() == 0 {
        return;
    }
    // The chain is filled at once; the jump to it is added once.
    let script = format!(
        "#!/bin/sh
set -eu
iptables-restore --wait --noflush <<'END'
*nat
:IP-MASQ - [0:0]
-A IP-MASQ -d {known} -j RETURN
-A IP-MASQ -j MASQUERADE
COMMIT
END
set -- POSTROUTING -s {pods} -m addrtype ! --dst-type LOCAL -j IP-MASQ
iptables --wait -t nat -C \"$@\" 2>/dev/null || iptables --wait -t nat -A \"$@\"
"
    );
    plan.files.push(File { path: SCRIPT.to_owned(), mode: 0o755, contents: script.into_bytes() });
    plan.units.push(Unit {
        name: "pod-masquerade.service".to_owned(),
        contents: Some(format!(
            "[Unit]\nDescription=Lets pods reach what does not know them\nAfter=network-pre.target\n\n\
             [Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart={SCRIPT}\n\n\
             [Install]\nWantedBy=multi-user.target\n"
        )),
        start: Start::AtBoot,
        inputs: vec![SCRIPT.to_owned()],
    });
}
