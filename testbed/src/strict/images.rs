//! Images that their owners have deprecated.

use xmltree::XMLNode;

use crate::call::AwsCall;
use crate::envelope::ApiError;
use crate::upstream::Answer;
use crate::xml;

/// Leaves deprecated images out of a list, unless they are asked for by their ids or with `IncludeDeprecated`.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImages.html>
pub(crate) fn hide_deprecated(
    call: &AwsCall,
    answer: Answer,
    deprecated: &[String],
) -> Result<Answer, ApiError> {
    let asked_for =
        !call.params.list("ImageId").is_empty() || call.params.get("IncludeDeprecated") == Some("true");
    if call.action != "DescribeImages" || asked_for || !answer.status.is_success() {
        return Ok(answer);
    }
    let Some(mut root) = xml::parse(&answer.body) else { return Ok(answer) };
    let Some(list) = xml::find_mut(&mut root, "imagesSet") else { return Ok(answer) };
    list.children.retain(|node| match node {
        XMLNode::Element(image) => !deprecated.contains(&xml::text(image, "imageId")),
        _ => true,
    });
    Answer::xml(&root)
}
