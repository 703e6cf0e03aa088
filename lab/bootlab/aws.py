"""What the emulated AWS shows, as far as it concerns machines."""

import base64
from dataclasses import dataclass
from functools import cache

import boto3

from . import places


@dataclass(frozen=True)
class Instance:
    """An instance that is starting or running."""

    id: str
    address: str
    mac: str
    host_name: str
    zone: str
    machine_type: str
    image: str
    vpc: str
    subnet: str
    interface: str
    # None unless the metadata service may tell them.
    tags: dict[str, str] | None
    profile: str | None
    # Volumes beside the root's, by the device that was asked for.
    devices: dict[str, str]


@dataclass(frozen=True)
class Balancer:
    """A load balancer: where each of its ports leads, as address and port."""

    name: str
    targets: dict[int, list[tuple[str, int]]]


@dataclass(frozen=True)
class View:
    """All of it at one time."""

    instances: dict[str, Instance]
    # Volumes beside machines' root volumes, and their sizes in GiB.
    volumes: dict[str, int]
    balancers: list[Balancer]
    routes: dict[str, str]


class Aws:
    """Looks at the emulator."""

    def __init__(self) -> None:
        def client(service: str):
            keys = {"aws_access_key_id": "lab", "aws_secret_access_key": "lab"}
            return boto3.client(service, endpoint_url=places.ENDPOINT, region_name=places.REGION, **keys)

        self.ec2, self.elb, self.elbv2, self.iam = (client(name) for name in ("ec2", "elb", "elbv2", "iam"))
        # Neither ever changes.
        self.user_data = cache(self._user_data)
        self.role = cache(self._role)

    def look(self) -> View:
        """Everything, now."""
        states = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
        pages = self.ec2.get_paginator("describe_instances").paginate(Filters=states)
        found = [item for page in pages for group in page["Reservations"] for item in group["Instances"]]
        roots = {
            device["Ebs"]["VolumeId"]
            for item in found
            for device in item["BlockDeviceMappings"]
            if device["DeviceName"] == item.get("RootDeviceName")
        }
        instances = {item["InstanceId"]: _instance(item, roots) for item in found}
        pages = self.ec2.get_paginator("describe_volumes").paginate()
        volumes = {volume["VolumeId"]: volume["Size"] for page in pages for volume in page["Volumes"]}
        return View(
            instances,
            {volume: size for volume, size in volumes.items() if volume not in roots},
            [*self._classic(instances), *self._network(instances)],
            self._routes(instances),
        )

    def _classic(self, instances: dict[str, Instance]) -> list[Balancer]:
        balancers = []
        for balancer in self.elb.describe_load_balancers()["LoadBalancerDescriptions"]:
            members = [instances[item["InstanceId"]] for item in balancer["Instances"] if item["InstanceId"] in instances]
            listeners = [listener["Listener"] for listener in balancer["ListenerDescriptions"]]
            targets = {
                listener["LoadBalancerPort"]: [(member.address, listener["InstancePort"]) for member in members]
                for listener in listeners
            }
            balancers.append(Balancer(balancer["DNSName"], targets))
        return balancers

    def _network(self, instances: dict[str, Instance]) -> list[Balancer]:
        balancers = []
        for balancer in self.elbv2.describe_load_balancers()["LoadBalancers"]:
            listeners = self.elbv2.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
            targets = {
                listener["Port"]: self._registered(listener["DefaultActions"][0]["TargetGroupArn"], instances)
                for listener in listeners
            }
            balancers.append(Balancer(balancer["DNSName"], targets))
        return balancers

    def _registered(self, group: str, instances: dict[str, Instance]) -> list[tuple[str, int]]:
        health = self.elbv2.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        targets = [item["Target"] for item in health]
        return [(instances[item["Id"]].address, item["Port"]) for item in targets if item["Id"] in instances]

    def _routes(self, instances: dict[str, Instance]) -> dict[str, str]:
        by_interface = {instance.interface: instance for instance in instances.values()}
        routes = {}
        for table in self.ec2.describe_route_tables()["RouteTables"]:
            for route in table["Routes"]:
                target = instances.get(route.get("InstanceId")) or by_interface.get(route.get("NetworkInterfaceId"))
                if target:
                    routes[route["DestinationCidrBlock"]] = target.address
        return routes

    def _user_data(self, instance: str) -> bytes:
        answer = self.ec2.describe_instance_attribute(InstanceId=instance, Attribute="userData")
        return base64.b64decode(answer["UserData"].get("Value", ""))

    def _role(self, profile: str) -> str:
        return self.iam.get_instance_profile(InstanceProfileName=profile)["InstanceProfile"]["Roles"][0]["RoleName"]


def _instance(item: dict, roots: set[str]) -> Instance:
    interface = item["NetworkInterfaces"][0]
    shows_tags = item.get("MetadataOptions", {}).get("InstanceMetadataTags") == "enabled"
    profile = item.get("IamInstanceProfile")
    volumes = [(device["DeviceName"], device["Ebs"]["VolumeId"]) for device in item["BlockDeviceMappings"]]
    return Instance(
        id=item["InstanceId"],
        address=item["PrivateIpAddress"],
        mac=interface["MacAddress"],
        host_name=item["PrivateDnsName"],
        zone=item["Placement"]["AvailabilityZone"],
        machine_type=item["InstanceType"],
        image=item["ImageId"],
        vpc=item["VpcId"],
        subnet=item["SubnetId"],
        interface=interface["NetworkInterfaceId"],
        tags={tag["Key"]: tag["Value"] for tag in item["Tags"]} if shows_tags else None,
        profile=profile["Arn"].rsplit("/", 1)[-1] if profile else None,
        devices={device: volume for device, volume in volumes if volume not in roots},
    )
