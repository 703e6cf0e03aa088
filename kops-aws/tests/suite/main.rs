//! The tests that use the library from outside. They are one program: each further one would be linked with all libraries again.

mod addons;
mod bootstrap;
mod breaking;
mod cloud_contract;
mod etcd;
mod every_call;
mod every_call_simulated;
mod facts;
mod fleet;
mod kops_fixtures;
mod machine;
mod machine_trouble;
mod made_by_kops;
mod members;
mod named;
mod network;
mod permissions;
mod plain_moto;
mod plans_made_earlier;
mod proof;
mod reconcile;
mod s3_state_store;
mod shrinking;
mod support;
mod waits;
