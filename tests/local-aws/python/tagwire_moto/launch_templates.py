"""Launch templates: what they name, for all of them at once and in pages."""

from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.responses.launch_templates import LaunchTemplates

from .errors import AwsError
from .patching import patch
from .paging import page

VERSIONS_PER_PAGE = 200


def install() -> None:
    """Makes a look at the versions of every launch template whole."""

    # moto cuts the answer after fifteen versions and has no next page.
    @patch(LaunchTemplates)
    def describe_launch_template_versions(original: Callable[..., Any], self: Any) -> ActionResult:
        size = self._get_int_param("MaxResults", VERSIONS_PER_PAGE)
        if not 1 <= size <= VERSIONS_PER_PAGE:
            raise AwsError("InvalidParameterValue", f"Value ( {size} ) for parameter maxResults is invalid.")
        self.error_on_dryrun()
        listed = self.ec2_backend.describe_launch_template_versions(
            template_name=self._get_param("LaunchTemplateName"),
            template_id=self._get_param("LaunchTemplateId"),
            versions=self._get_param("Versions", []),
            min_version=self._get_int_param("MinVersion"),
            max_version=self._get_int_param("MaxVersion"),
            max_results=1_000_000,
        )
        # The latest version may be the default one as well.
        distinct = {(template.id, version.number): (template, version) for template, version in listed}
        found, token = page(
            list(distinct.values()),
            size,
            self._get_param("NextToken"),
            AwsError("InvalidNextToken", "The token is invalid"),
        )
        return ActionResult(
            {
                "LaunchTemplateVersions": [
                    {
                        "CreateTime": version.create_time,
                        "CreatedBy": f"arn:{self.partition}:iam::{self.current_account}:root",
                        "DefaultVersion": template.is_default(version),
                        "LaunchTemplateData": version.data,
                        "LaunchTemplateId": template.id,
                        "LaunchTemplateName": template.name,
                        "VersionDescription": version.description,
                        "VersionNumber": version.number,
                    }
                    for template, version in found
                ],
                "NextToken": token,
            }
        )
