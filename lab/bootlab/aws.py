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
class Check:
    """How a load balancer finds out which machines work."""

    protocol: str
    # None for the port that gets the traffic.
    port: int | None
    path: str
    # HTTP statuses of machines that work.
    codes: range
    interval: float
    timeout: float
    healthy: int
    unhealthy: int
    is_classic: bool

    def __str__(self) -> str:
        return f"{self.protocol}:{self.port or 'traffic port'}{self.path}"


@dataclass(frozen=True)
class Target:
    """A machine that a load balancer leads to."""

    instance: str
    address: str
    port: int


@dataclass(frozen=True)
class Pool:
    """Where a port of a load balancer leads."""

    # The ARN of the target group, or the name of the classic load balancer.
    id: str
    targets: tuple[Target, ...]
    check: Check
    is_classic: bool
    # Whether machines see the address of the client.
    keeps_client: bool


@dataclass(frozen=True)
class Balancer:
    """A load balancer: where each of its ports leads."""

    name: str
    pools: dict[int, Pool]


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
        self.s3 = client("s3")
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
            listeners = [description["Listener"] for description in balancer["ListenerDescriptions"]]
            check = _classic_check(balancer.get("HealthCheck") or _usual_check(listeners))
            pools = {}
            for listener in listeners:
                targets = tuple(Target(member.id, member.address, listener["InstancePort"]) for member in members)
                pool = Pool(balancer["LoadBalancerName"], targets, check, is_classic=True, keeps_client=False)
                pools[listener["LoadBalancerPort"]] = pool
            balancers.append(Balancer(balancer["DNSName"], pools))
        return balancers

    def _network(self, instances: dict[str, Instance]) -> list[Balancer]:
        balancers = []
        for balancer in self.elbv2.describe_load_balancers()["LoadBalancers"]:
            listeners = self.elbv2.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
            pools = {
                listener["Port"]: self._group(listener["DefaultActions"][0]["TargetGroupArn"], instances)
                for listener in listeners
            }
            balancers.append(Balancer(balancer["DNSName"], pools))
        return balancers

    def _group(self, arn: str, instances: dict[str, Instance]) -> Pool:
        (group,) = self.elbv2.describe_target_groups(TargetGroupArns=[arn])["TargetGroups"]
        attributes = self.elbv2.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
        attributes = {item["Key"]: item["Value"] for item in attributes}
        health = self.elbv2.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        registered = [item["Target"] for item in health if item["Target"]["Id"] in instances]
        targets = tuple(Target(item["Id"], instances[item["Id"]].address, item["Port"]) for item in registered)
        # The default for instances: https://docs.aws.amazon.com/elasticloadbalancing/latest/network/edit-target-group-attributes.html
        keeps_client = attributes.get("preserve_client_ip.enabled", "true") == "true"
        return Pool(arn, targets, _check(group), is_classic=False, keeps_client=keeps_client)

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


def _usual_check(listeners: list[dict]) -> dict:
    """What a classic load balancer checks until somebody says what."""
    target = f"TCP:{listeners[0]['InstancePort']}"
    return {"Target": target, "Interval": 30, "Timeout": 5, "HealthyThreshold": 10, "UnhealthyThreshold": 2}


def _classic_check(found: dict) -> Check:
    """Of a target such as `TCP:443` or `HTTP:80/healthz`."""
    protocol, rest = found["Target"].split(":", 1)
    port, slash, path = rest.partition("/")
    return Check(
        protocol=protocol,
        port=int(port),
        path=slash + path,
        codes=range(200, 201),
        interval=found["Interval"],
        timeout=found["Timeout"],
        healthy=found["HealthyThreshold"],
        unhealthy=found["UnhealthyThreshold"],
        is_classic=True,
    )


def _check(group: dict) -> Check:
    port = group.get("HealthCheckPort", "traffic-port")
    protocol = group["HealthCheckProtocol"]
    return Check(
        protocol=protocol,
        port=None if port == "traffic-port" else int(port),
        path=group.get("HealthCheckPath", "/") if protocol in ("HTTP", "HTTPS") else "",
        codes=range(200, 400),
        interval=group["HealthCheckIntervalSeconds"],
        timeout=group["HealthCheckTimeoutSeconds"],
        healthy=group["HealthyThresholdCount"],
        unhealthy=group["UnhealthyThresholdCount"],
        is_classic=False,
    )


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
