//! Filters of EC2's lists.

use crate::call::AwsCall;
use crate::envelope::ApiError;

/// The most values of one filter.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html#Filtering_Resources_CLI>
const VALUES: usize = 200;

pub(crate) fn check(call: &AwsCall) -> Result<(), ApiError> {
    if call.service != "ec2" {
        return Ok(());
    }
    for filter in call.params.structs("Filter") {
        if filter.list("Value").len() > VALUES {
            return Err(ApiError::new(
                "FilterLimitExceeded",
                format!("The maximum number of filter values specified on a single call is {VALUES}"),
            ));
        }
    }
    Ok(())
}
