//! The tests that run the command. They are one program: each further one would be linked with all libraries again.

mod day_two;
mod etcd;
mod events;
mod keypairs;
mod kubeconfig;
mod living;
mod lock;
mod masters;
mod misuse;
mod secrets;
mod simulated;
mod support;
