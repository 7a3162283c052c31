"""The sites of a server, and which region is at which."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.runtimes.contract import Ending, Observed, Owned
from stoker.runtimes.errors import NoRoomYet, RegionNotConfigured
from stoker.runtimes.volumes import Snapshots

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from stoker.domain.machines import Placement
    from stoker.domain.platforms import Platform
    from stoker.runtimes.contract import MachineSpec, Runtime
    from stoker.runtimes.site import Site
    from stoker.runtimes.volumes import Volumes


class Sites:
    """Finds the site of a region. Several regions may be at one site.

    Args:
        by_region: the site of each region.
        otherwise: one of these sites, for regions that the settings don't name; None where each has to be named.
    """

    def __init__(self, by_region: Mapping[str, Site], otherwise: Site | None = None) -> None:
        self._by_region = dict(by_region)
        self._otherwise = otherwise

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions that the settings name, in their order."""
        return tuple(self._by_region)

    def __iter__(self) -> Iterator[Site]:
        """Each site once, in the order of the regions."""
        return iter(self.named().values())

    def named(self) -> dict[str, Site]:
        """Each site by the first region that is at it."""
        names: dict[int, str] = {}
        return {
            region: site for region, site in self._by_region.items() if names.setdefault(id(site), region) == region
        }

    def find(self, region_id: str) -> Site | None:
        """The site of a region; None when it isn't configured."""
        return self._by_region.get(region_id, self._otherwise)

    def of(self, region_id: str) -> Site:
        """The site of a region.

        Raises:
            RegionNotConfigured: the settings name no such region.
        """
        site = self.find(region_id)
        if site is None:
            raise RegionNotConfigured(
                f"the region {region_id} is not configured on this server any more; put it back into the settings, "
                f"or move the project to one of: {', '.join(self._by_region)}"
            )
        return site

    def runtime_of(self, region_id: str) -> Runtime:
        """What runs the machines of a region. Of one that isn't configured any more there are none."""
        site = self.find(region_id)
        return _Nowhere() if site is None else site.runtime

    def volumes_of(self, region_id: str) -> Volumes:
        """What keeps the volumes of a region.

        Raises:
            RegionNotConfigured: the settings name no such region.
        """
        return self.of(region_id).volumes

    def snapshots_of(self, region_id: str) -> Snapshots | None:
        """What takes snapshots of a region's volumes; None where there are none, or the region isn't configured."""
        site = self.find(region_id)
        return site.volumes if site is not None and isinstance(site.volumes, Snapshots) else None

    def platforms_of(self, region_id: str) -> frozenset[Platform]:
        """The platforms of a region: see `Site.platforms`. One that isn't configured has none."""
        site = self.find(region_id)
        return frozenset() if site is None else site.platforms

    def native_platforms(self) -> frozenset[Platform]:
        """The platforms that some site doesn't emulate."""
        return frozenset(platform for site in self for platform in site.platforms - site.emulated)

    def shortage(self, region_id: str, untrusted_of: str | None = None) -> str | None:
        """Why no more builds can be taken in a region now: see `Site.shortage`."""
        try:
            return self.of(region_id).shortage(untrusted_of)
        except RegionNotConfigured as error:
            return str(error)

    def is_one_site(self, region_id: str, other_id: str) -> bool:
        """Whether what is in one region is in another too, since both are at one site."""
        site = self.find(region_id)
        return region_id == other_id or (site is not None and site is self.find(other_id))


class _Nowhere:
    """The runtime of a region that isn't configured any more: a machine that was there is gone."""

    async def start(self, spec: MachineSpec) -> AsyncIterator[Placement]:
        raise NoRoomYet(f"machine {spec.machine_id} has no region that is configured")
        yield  # pyright: ignore[reportUnreachable]

    async def stop(self, machine_id: str, grace_seconds: float) -> bool:
        del machine_id, grace_seconds
        return False

    async def observe(self, machine_id: str, placement: Placement | None) -> Observed:
        del machine_id, placement
        return Observed.ABSENT

    async def wait_exit(self, machine_id: str, placement: Placement) -> None:
        pass

    async def why_ended(self, machine_id: str) -> Ending:
        del machine_id
        return Ending()

    async def list_owned(self) -> Owned:
        return Owned(frozenset(), frozenset())
