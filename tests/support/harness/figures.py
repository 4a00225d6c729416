"""What a run of the chaos suite found, in numbers."""

from collections import Counter
from dataclasses import asdict, dataclass, field


@dataclass
class Figures:
    """The numbers of a run.

    Attributes:
        seed: reproduces the world and the faults.
        scenarios: how many there were, each followed by a rest in which all was checked.
        seconds: how long faults were being injected, all in all.
        commit: what was tried; empty where that is not known.
        changed: whether the files were other than that commit's.
        machine: what it ran on.
        durability: the setting of each scenario.
        faults: how often each kind was injected.
        skipped: what could not be done on this machine, and why.
        emitted: different events, nonsense among them, that the sandbox emitted.
        delivered: of these, those that a client has certainly read.
        logged: events in the log.
        quarantined: of the nonsense, what is in quarantine.
        lost: delivered, and in neither.
        recovered: events that came by connection state recovery, again or for the first time.
        recovered_gaps: gaps of which the gateway replayed all.
        from_memory: delivered to a process that was killed before it had put them on disk.
        most_from_memory: the most that one killed process took with it.
        duplicated: more than once in the log.
        altered: in the log in other words than they were sent in.
        compared: positions compared with the truth, all scenarios together.
        wrong: of these, those with a wrong durable field after one reconciliation.
        unverified: positions that are not the fold of their facts.
        open_gaps: gaps that nothing had repaired in the end.
        looks: how often a reader looked.
        misread: what a reader saw and should not have.
        searched: characters of logs, output, tables, process listings and server sessions in
            which keys, tokens and passwords were looked for.
        shown: which of them were seen, and where.
        lives: processes that were started.
        killed: of these, those that were killed.
        recoveries: seconds from the last fault of each scenario until all was well again.
        memory: bytes, per process that runs all the time: before, and after the last scenario.
        handles: file handles, likewise.
        complaints: what else was not as it should be.
    """

    seed: int
    scenarios: int = 0
    seconds: float = 0.0
    commit: str = ""
    changed: bool = True
    machine: dict[str, str] = field(default_factory=dict)
    durability: list[str] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    skipped: dict[str, str] = field(default_factory=dict)
    emitted: int = 0
    delivered: int = 0
    logged: int = 0
    quarantined: int = 0
    lost: int = 0
    recovered: int = 0
    recovered_gaps: int = 0
    from_memory: int = 0
    most_from_memory: int = 0
    duplicated: int = 0
    altered: int = 0
    compared: int = 0
    wrong: int = 0
    unverified: int = 0
    open_gaps: int = 0
    looks: int = 0
    misread: int = 0
    searched: int = 0
    shown: list[str] = field(default_factory=list)
    lives: int = 0
    killed: int = 0
    recoveries: list[float] = field(default_factory=list)
    memory: dict[str, tuple[int, int]] = field(default_factory=dict)
    handles: dict[str, tuple[int, int]] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)

    @property
    def well(self) -> bool:
        """Whether all was as promised; where nothing was delivered, nothing is shown."""
        return self.delivered > 0 and not (
            self.lost
            or self.duplicated
            or self.altered
            or self.wrong
            or self.unverified
            or self.open_gaps
            or self.misread
            or self.shown
            or self.complaints
        )

    def summary(self) -> list[tuple[str, str]]:
        """Return the figures that the guarantees speak of, each with its name for people."""
        return [
            ("faults injected", f"{sum(self.faults.values()):,}"),
            ("scenarios, each with its proof", f"{self.scenarios:,}"),
            ("events emitted", f"{self.emitted:,}"),
            ("events delivered", f"{self.delivered:,}"),
            ("events in the log", f"{self.logged:,}"),
            ("invalid inputs in quarantine", f"{self.quarantined:,}"),
            ("lost", f"{self.lost:,}"),
            ("lost from the memory of a killed process", f"{self.from_memory:,}"),
            ("events that the gateway replayed", f"{self.recovered:,}"),
            ("gaps that it closed by that", f"{self.recovered_gaps:,}"),
            ("duplicated", f"{self.duplicated:,}"),
            ("altered", f"{self.altered:,}"),
            ("positions compared", f"{self.compared:,}"),
            ("wrong", f"{self.wrong:,}"),
            ("positions that are not the fold of their facts", f"{self.unverified:,}"),
            ("gaps left open", f"{self.open_gaps:,}"),
            ("checks by the readers", f"{self.looks:,}"),
            ("of these, inconsistent", f"{self.misread:,}"),
            ("characters searched for keys, tokens and passwords", f"{self.searched:,}"),
            ("of these secrets, seen", f"{len(self.shown):,}"),
            ("processes started", f"{self.lives:,}"),
            ("of these, killed", f"{self.killed:,}"),
            ("longest recovery, seconds", f"{max(self.recoveries, default=0.0):,.1f}"),
        ]

    def as_dict(self) -> dict[str, object]:
        """Return them for a JSON file."""
        plain = {"summary": dict(self.summary())} | asdict(self)
        plain["faults"] = dict(sorted(self.faults.items()))
        return plain
