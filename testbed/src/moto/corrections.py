"""What moto gets wrong inside: things that AWS does by itself, between calls, where no proxy can see them.

Written for moto 5.2. What AWS refuses is not here: that is the proxy's.
"""

import inspect
import json
import time
from pathlib import Path

from moto.autoscaling import models as autoscaling
from moto.core.responses import ActionResult
from moto.core.types import Base64EncodedString
from moto.core.utils import utcnow
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import (
    elastic_block_store,
    instance_types,
    instances,
    internet_gateways,
    launch_templates,
    nat_gateways,
    route_tables,
    security_groups,
    subnets,
)
from moto.ec2.utils import filter_iam_instance_profiles
from moto.ec2.models.elastic_network_interfaces import NetworkInterfaceBackend
from moto.ec2.responses.general import General
from moto.ec2.responses.launch_templates import LaunchTemplates
from moto.ec2.responses.subnets import Subnets as SubnetResponse
from moto.elb import models as elb
from moto.elbv2 import models as elbv2
from moto.route53 import models as route53
from moto.s3 import models as s3
from moto.utilities.utils import get_partition


def correct_networks():
    create_interface = NetworkInterfaceBackend.create_network_interface

    def create_network_interface(self, *arguments, **named):
        # The interface that comes with an instance goes with it.
        if named.get("device_index") == 0 and not named.get("delete_on_termination"):
            named["delete_on_termination"] = True
        return create_interface(self, *arguments, **named)

    terminate = instances.Instance.terminate

    def terminate_once(self):
        # Terminating again what is terminated is fine.
        return terminate(self) if self._state.name != "terminated" else self._state

    instances.Instance.terminate = terminate_once

    delete_subnet = subnets.SubnetBackend.delete_subnet

    def delete_subnet_and_associations(self, subnet_id):
        deleted = delete_subnet(self, subnet_id)
        for table in self.route_tables.values():
            for association in [key for key, target in table._associations.items() if target == subnet_id]:
                del table._associations[association]
        return deleted

    modify_attribute = SubnetResponse.modify_subnet_attribute

    def modify_subnet_attribute(self):
        # The type of the instances' names, which moto passes over.
        if hostname_type := self._get_param("PrivateDnsHostnameTypeOnLaunch"):
            subnet = self.ec2_backend.get_subnet(self._get_param("SubnetId"))
            subnet.private_dns_name_options_on_launch["HostnameType"] = hostname_type
        return modify_attribute(self)

    associate = route_tables.RouteBackend.associate_route_table

    def associate_route_table(self, route_table_id, gateway_id=None, subnet_id=None):
        for table in self.route_tables.values():
            if subnet_id and subnet_id in table._associations.values() and table.id != route_table_id:
                raise EC2ClientError(
                    "Resource.AlreadyAssociated",
                    f"the specified association for route table {route_table_id} conflicts with an existing association",
                )
        return associate(self, route_table_id, gateway_id, subnet_id)

    attach_gateway = internet_gateways.InternetGatewayBackend.attach_internet_gateway

    def attach_internet_gateway(self, internet_gateway_id, vpc_id):
        for gateway in self.internet_gateways.values():
            if gateway.vpc and gateway.vpc.id == vpc_id and gateway.id != internet_gateway_id:
                raise EC2ClientError(
                    "Resource.AlreadyAssociated",
                    f"resource {vpc_id} is already associated with gateway {gateway.id}",
                )
        return attach_gateway(self, internet_gateway_id, vpc_id)

    internet_gateways.InternetGatewayBackend.attach_internet_gateway = attach_internet_gateway
    SubnetResponse.modify_subnet_attribute = modify_subnet_attribute
    route_tables.RouteBackend.associate_route_table = associate_route_table
    NetworkInterfaceBackend.create_network_interface = create_network_interface
    subnets.SubnetBackend.delete_subnet = delete_subnet_and_associations


def correct_nat_gateways():
    """Gateways come and go slowly, and can be found by their tags."""
    backend_class = nat_gateways.NatGatewayBackend
    create, describe = backend_class.create_nat_gateway, backend_class.describe_nat_gateways
    create_route, replace_route = route_tables.RouteBackend.create_route, route_tables.RouteBackend.replace_route
    # Seconds. On AWS it is a minute or two.
    lasting = {"pending": 1.0, "deleting": 1.0}

    def enter(gateway, state):
        gateway.state, gateway.since = state, time.monotonic()

    def settle(self):
        for gateway in self.nat_gateways.values():
            if time.monotonic() - gateway.since < lasting.get(gateway.state, 0):
                continue
            if gateway.state == "pending":
                enter(gateway, "available")
            elif gateway.state == "deleting":
                enter(gateway, "deleted")
                let_go(self, gateway)

    def let_go(self, gateway):
        for address in gateway.address_set:
            if address.get("allocationId"):
                for elastic in self.address_by_allocation([address["allocationId"]]):
                    if elastic.association_id:
                        self.disassociate_address(association_id=elastic.association_id)
        if gateway._eni.id in self.enis:
            gateway._eni.delete()

    def create_nat_gateway(self, *arguments, **named):
        gateway = create(self, *arguments, **named)
        enter(gateway, "pending")
        return gateway

    def delete_nat_gateway(self, nat_gateway_id):
        gateway = self.nat_gateways.get(nat_gateway_id)
        if gateway is None:
            raise EC2ClientError("NatGatewayNotFound", f"NatGateway {nat_gateway_id} was not found")
        if gateway.state in ("pending", "available"):
            enter(gateway, "deleting")
        return gateway

    def describe_nat_gateways(self, filters, nat_gateway_ids):
        settle(self)
        found = describe(self, filters, nat_gateway_ids)
        for name, values in (filters or {}).items():
            if name.startswith("tag:"):
                tags = [{tag["key"]: tag["value"] for tag in gateway.get_tags()} for gateway in found]
                found = [gateway for gateway, own in zip(found, tags) if own.get(name[4:]) in values]
        return found

    def check(self, method, arguments, named):
        settle(self)
        given = inspect.signature(method).bind(self, *arguments, **named).arguments
        nat_gateway_id = given.get("nat_gateway_id")
        gateway = self.nat_gateways.get(nat_gateway_id) if nat_gateway_id else None
        if nat_gateway_id and (gateway is None or gateway.state != "available"):
            raise EC2ClientError(
                "InvalidNatGatewayID.NotFound", f"The natGateway ID '{nat_gateway_id}' does not exist"
            )

    def create_route_to_what_is_there(self, *arguments, **named):
        check(self, create_route, arguments, named)
        return create_route(self, *arguments, **named)

    def replace_route_by_what_is_there(self, *arguments, **named):
        check(self, replace_route, arguments, named)
        return replace_route(self, *arguments, **named)

    backend_class.create_nat_gateway = create_nat_gateway
    backend_class.delete_nat_gateway = delete_nat_gateway
    backend_class.describe_nat_gateways = describe_nat_gateways
    route_tables.RouteBackend.create_route = create_route_to_what_is_there
    route_tables.RouteBackend.replace_route = replace_route_by_what_is_there


def correct_records():
    """What was deleted can be created again."""
    change = route53.Route53Backend.change_resource_record_sets

    def change_resource_record_sets(self, zoneid, change_list):
        def key(name, kind):
            return name.strip("."), kind

        zone = self.get_hosted_zone(zoneid)
        there = {key(record.name, record.type) for record in zone.rrsets}
        gone = [
            made
            for made in list(zone.rr_changes)
            if key(made["ResourceRecordSet"]["Name"], made["ResourceRecordSet"]["Type"]) not in there
        ]
        for made in gone:
            zone.rr_changes.remove(made)
        return change(self, zoneid, change_list)

    route53.Route53Backend.change_resource_record_sets = change_resource_record_sets


def correct_launch_templates():
    """Versions can be deleted, and their numbers are never given out again."""
    template_class = launch_templates.LaunchTemplate

    def create_version(self, data, description):
        self.last_number = getattr(self, "last_number", 0) + 1
        version = launch_templates.LaunchTemplateVersion(self, self.last_number, data, description)
        self.versions.append(version)
        return version

    def get_version(self, number):
        wanted = {"$latest": self.versions[-1].number, "$default": self.default_version_number}
        wanted = wanted.get(str(number).lower(), number)
        for version in self.versions:
            if str(version.number) == str(wanted):
                return version
        raise launch_templates.InvalidLaunchTemplateVersionNotFound(template_id=self.id, version=number)

    def delete_launch_template_versions(self):
        name, template_id = self._get_param("LaunchTemplateName"), self._get_param("LaunchTemplateId")
        backend = self.ec2_backend
        template = backend.get_launch_template_by_name(name) if name else backend.get_launch_template(template_id)
        deleted, kept = [], []
        for number in self._get_param("Versions", []):
            entry = {
                "LaunchTemplateId": template.id,
                "LaunchTemplateName": template.name,
                "VersionNumber": int(number),
            }
            known = [version for version in template.versions if version.number == int(number)]
            if not known:
                error = ("launchTemplateVersionDoesNotExist", "The version does not exist.")
            elif int(number) == template.default_version_number:
                error = ("unexpectedError", "The default version cannot be deleted.")
            else:
                template.versions.remove(known[0])
                deleted.append(entry)
                continue
            kept.append({**entry, "ResponseError": {"Code": error[0], "Message": error[1]}})
        return ActionResult(
            {
                "SuccessfullyDeletedLaunchTemplateVersions": deleted,
                "UnsuccessfullyDeletedLaunchTemplateVersions": kept,
            }
        )

    def user_data(self):
        # A version after the first has it as plain text, with which moto launches nothing.
        text = self.data.get("UserData")
        return Base64EncodedString(text) if isinstance(text, str) else text

    launch_templates.LaunchTemplateVersion.user_data = property(user_data)
    template_class.create_version = create_version
    template_class.get_version = get_version
    template_class.default_version = lambda self: self.get_version("$Default")
    LaunchTemplates.delete_launch_template_versions = delete_launch_template_versions


def correct_scaling_groups():
    """Members are spread over the subnets, and are all that their launch template says."""
    group_class = autoscaling.FakeAutoScalingGroup
    launch_without_template = group_class.replace_autoscaling_group_instances
    set_template = group_class._set_launch_configuration

    def set_valid_template(self, *arguments, **named):
        set_template(self, *arguments, **named)
        if not self.ec2_launch_template:
            return
        version = self.ec2_launch_template.get_version(self.launch_template_version)
        profile = version.data.get("IamInstanceProfile")
        if not profile:
            return
        try:
            filter_iam_instance_profiles(
                self.account_id,
                partition=get_partition(self.region),
                iam_instance_profile_arn=profile.get("Arn"),
                iam_instance_profile_name=profile.get("Name"),
            )
        except Exception:
            name = profile.get("Name") or profile.get("Arn")
            raise autoscaling.AutoscalingClientError(
                "ValidationError",
                "You must use a valid fully-formed launch template. "
                f"Value ({name}) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name",
            ) from None

    def launch(self, count, tags):
        if not self.ec2_launch_template:
            return launch_without_template(self, count, tags)
        version = self.ec2_launch_template.get_version(self.launch_template_version)
        for _ in range(count):
            self.instance_states.append(launch_one(self, version, dict(tags)))

    def launch_one(group, version, tags):
        backend = group.autoscaling_backend.ec2_backend
        data = version.data
        tags = {**tags, autoscaling.ASG_NAME_TAG: group.name}
        by_kind = {}
        for specification in data.get("TagSpecifications", []):
            by_kind.setdefault(specification["ResourceType"], {}).update(
                {tag["Key"]: tag["Value"] for tag in specification.get("Tags", [])}
            )
        interfaces = data.get("NetworkInterfaces") or [{}]
        named = {}
        if data.get("BlockDeviceMappings"):
            named["block_device_mappings"] = [
                {**device, "Ebs": {"DeleteOnTermination": True, **device["Ebs"]}}
                for device in data["BlockDeviceMappings"]
                if "Ebs" in device
            ]
        machine_type, is_spot = chosen_type(group, version.instance_type)
        reservation = backend.run_instances(
            version.image_id,
            1,
            version.user_data,
            [],
            security_group_ids=list(data.get("SecurityGroupIds") or interfaces[0].get("Groups") or []),
            instance_type=machine_type,
            is_instance_type_default=False,
            region_name=backend.region_name,
            tags={**by_kind, "instance": {**by_kind.get("instance", {}), **tags}},
            launch_template={"LaunchTemplateId": version.template.id, "Version": str(version.number)},
            metadata_options=data.get("MetadataOptions") or {},
            monitoring_state="enabled" if (data.get("Monitoring") or {}).get("Enabled") else "disabled",
            associate_public_ip=interfaces[0].get("AssociatePublicIpAddress"),
            subnet_id=next_subnet(group),
            **named,
        )
        instance = reservation.instances[0]
        instance.autoscaling_group = group
        if is_spot or (data.get("InstanceMarketOptions") or {}).get("MarketType") == "spot":
            instance.lifecycle = "spot"
        if profile := data.get("IamInstanceProfile"):
            backend.associate_iam_instance_profile(
                instance.id,
                iam_instance_profile_name=profile.get("Name"),
                iam_instance_profile_arn=profile.get("Arn"),
            )
        return autoscaling.InstanceState(
            instance, protected_from_scale_in=group.new_instances_protected_from_scale_in
        )

    def next_subnet(group):
        if not group.vpc_zone_identifier:
            return None
        members = [state.instance.subnet_id for state in group.instance_states]
        return min(group.vpc_zone_identifier.split(","), key=members.count)

    def rebalance(group):
        # A group with zones is left even: one is launched where there are fewest, one ends where there are most.
        # https://docs.aws.amazon.com/autoscaling/ec2/userguide/auto-scaling-benefits.html#AutoScalingBehavior.InstanceUsage
        if not group.vpc_zone_identifier or not group.ec2_launch_template:
            return
        subnets = group.vpc_zone_identifier.split(",")
        while "AZRebalance" not in group._suspended_processes:
            places = [state.instance.subnet_id for state in group.instance_states]
            least = min(places.count(subnet) for subnet in subnets)
            surplus = [
                state
                for state in group.instance_states
                if state.instance.subnet_id not in subnets or places.count(state.instance.subnet_id) > least + 1
            ]
            if not surplus:
                return
            taken = max(surplus, key=lambda state: places.count(state.instance.subnet_id))
            group.instance_states.remove(taken)
            launch(group, 1, group.get_propagated_tags())
            group.autoscaling_backend.ec2_backend.terminate_instances([taken.instance.id])

    def rebalancing(change):
        def changed(self, *arguments, **named):
            result = change(self, *arguments, **named)
            for group in list(self.autoscaling_groups.values()):
                rebalance(group)
            return result

        return changed

    def made_from(self):
        template = self.auto_scaling_group and self.auto_scaling_group.ec2_launch_template
        if not template:
            return None
        tags = {tag["key"]: tag["value"] for tag in self.instance.get_tags()}
        return {
            "LaunchTemplateId": template.id,
            "LaunchTemplateName": template.name,
            "Version": tags.get("aws:ec2launchtemplate:version"),
        }

    backend_class = autoscaling.AutoScalingBackend

    def delete_auto_scaling_group(self, group_name):
        group = self.autoscaling_groups.get(group_name)
        if group is None:
            raise autoscaling.ValidationError(
                f"AutoScalingGroup name not found - AutoScalingGroup '{group_name}' not found"
            )
        # Protection and standby don't outlive the group.
        members = [state.instance.id for state in group.instance_states]
        group.instance_states, group.desired_capacity = [], 0
        self.update_attached_elbs(group_name)
        self.autoscaling_groups.pop(group_name)
        if members:
            self.ec2_backend.terminate_instances(members)

    detach = backend_class.detach_instances

    def detach_instances(self, group_name, instance_ids, should_decrement):
        group = self.autoscaling_groups[group_name]
        members = [state.instance.id for state in group.instance_states]
        for instance in instance_ids:
            if instance not in members:
                raise autoscaling.ValidationError(
                    f"The instance {instance} is not part of Auto Scaling group {group_name}."
                )
        return detach(self, group_name, instance_ids, should_decrement)

    notify = backend_class.notify_terminate_instances

    def notify_terminate_instances(self, instance_ids):
        # Those that take the place of terminated members are registered with target groups, too.
        losing = [
            name
            for name, group in self.autoscaling_groups.items()
            if any(state.instance.id in instance_ids for state in group.instance_states)
        ]
        notify(self, instance_ids)
        for name in losing:
            self.update_attached_target_groups(name)

    group_class._set_launch_configuration = set_valid_template
    backend_class.notify_terminate_instances = notify_terminate_instances
    backend_class.detach_instances = detach_instances
    group_class.replace_autoscaling_group_instances = launch
    autoscaling.InstanceState.launch_template = property(made_from)
    backend_class.delete_auto_scaling_group = delete_auto_scaling_group
    for name in (
        "update_auto_scaling_group",
        "set_desired_capacity",
        "terminate_instance",
        "detach_instances",
        "resume_processes",
        "notify_terminate_instances",
    ):
        setattr(backend_class, name, rebalancing(getattr(backend_class, name)))


def correct_load_balancers():
    """The ARN of a network load balancer says that it is one, and the default scheme is shown."""
    create = elbv2.ELBv2Backend.create_load_balancer

    def create_load_balancer(self, *arguments, **named):
        balancer = create(self, *arguments, **named)
        balancer.scheme = balancer.scheme or "internet-facing"
        if balancer.type == "network":
            tags = self.tagging_service.list_tags_for_resource(balancer.arn)["Tags"]
            self.tagging_service.delete_all_tags_for_resource(balancer.arn)
            del self.load_balancers[balancer.arn]
            balancer.arn = balancer.arn.replace(":loadbalancer/app/", ":loadbalancer/net/")
            self.load_balancers[balancer.arn] = balancer
            self.tagging_service.tag_resource(balancer.arn, tags)
        return balancer

    elbv2.ELBv2Backend.create_load_balancer = create_load_balancer


def correct_buckets():
    """Every new bucket encrypts. <https://docs.aws.amazon.com/AmazonS3/latest/userguide/default-encryption-faq.html>"""
    create = s3.S3Backend.create_bucket

    def create_bucket(self, *arguments, **named):
        bucket = create(self, *arguments, **named)
        if bucket.encryption is None:
            by_default = {"SSEAlgorithm": "AES256"}
            bucket.encryption = {"Rule": {"ApplyServerSideEncryptionByDefault": by_default, "BucketKeyEnabled": False}}
        return bucket

    s3.S3Backend.create_bucket = create_bucket


def correct_machines(folder):
    """What AWS learns from machines is read from a folder, if something plays them: their consoles
    (`machines/<instance>/console.log`), and what the checks of load balancers have found (`health.json`: state, and for
    target groups reason and description, by target group or load balancer, and instance)."""

    def get_console_output(self):
        instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
        console = folder / "machines" / instance.id / "console.log" if folder else None
        text = console.read_bytes()[-65536:] if console and console.exists() else b""
        output = Base64EncodedString.from_raw_string(text.decode(errors="replace"))
        return ActionResult({"InstanceId": instance.id, "Timestamp": utcnow(), "Output": output})

    General.get_console_output = get_console_output
    if not folder:
        return

    def found(of, instance, otherwise):
        health = folder / "health.json"
        checked = json.loads(health.read_text()) if health.exists() else {}
        return checked.get(of, {}).get(instance, otherwise)

    health_for = elbv2.FakeTargetGroup.health_for

    def checked_health_for(self, target, ec2_backend):
        health = health_for(self, target, ec2_backend)
        if health.status == "healthy":
            registered = ["initial", "Elb.RegistrationInProgress", "Target registration is in progress"]
            health.status, health.reason, health.description = found(self.arn, target["Id"], registered)
        return health

    describe_instance_health = elb.ELBBackend.describe_instance_health

    def describe_checked_health(self, lb_name, instances):
        return [
            {**item, "State": found(lb_name, item["InstanceId"], ["OutOfService"])[0]}
            if item["State"] == "InService"
            else item
            for item in describe_instance_health(self, lb_name, instances)
        ]

    elbv2.FakeTargetGroup.health_for = checked_health_for
    elb.ELBBackend.describe_instance_health = describe_checked_health


def correct_volumes():
    """Where an account encrypts by default, no volume is made unencrypted."""
    create = elastic_block_store.EBSBackend.create_volume

    def create_volume(self, *arguments, **named):
        if getattr(self, "ebs_encryption_by_default", False):
            named["encrypted"] = True
        return create(self, *arguments, **named)

    elastic_block_store.EBSBackend.create_volume = create_volume


def correct_rule_counts():
    """The proxy counts rules, for IPv4 and IPv6 each; moto counts them together."""
    name = "_verify_group_will_respect_rule_count_limit"
    setattr(security_groups.SecurityGroupBackend, name, lambda self, *arguments, **named: None)


def correct_offerings():
    """Regions that moto knows no offers of have every machine type in every zone."""
    backend_class = instance_types.InstanceTypeOfferingBackend
    describe = backend_class.describe_instance_type_offerings

    def describe_offerings(self, location_type=None, filters=None):
        location_type = location_type or "region"
        if self.region_name in instance_types.INSTANCE_TYPE_OFFERINGS[location_type]:
            return describe(self, location_type, filters)
        zones = [zone.name for zone in self.describe_availability_zones()]
        places = zones if location_type == "availability-zone" else [self.region_name]
        offers = [
            {"InstanceType": name, "LocationType": location_type, "Location": place}
            for name in instance_types.INSTANCE_TYPES
            for place in places
        ]
        return [offer for offer in offers if self.matches_filters(offer, filters or {}, location_type)]

    backend_class.describe_instance_type_offerings = describe_offerings


def correct_moto(machines=None):
    correct_rule_counts()
    correct_offerings()
    correct_volumes()
    correct_networks()
    correct_nat_gateways()
    correct_records()
    correct_launch_templates()
    correct_scaling_groups()
    correct_scaling_policies()
    correct_load_balancers()
    correct_buckets()
    correct_machines(Path(machines) if machines else None)
