"""Which of the rows of a cluster come first: a row is compared with those before it, so the first one stays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from nemo_curator.errors import ContractError

if TYPE_CHECKING:
    import pandas as pd


@dataclass
class RankingStrategy:
    """An order over the rows of a cluster: by columns, each ascending or not, or at random.

    Rows that are equal in all of the columns stay as they come.
    """

    metadata_cols: list[str] = field(default_factory=list)
    ascending: bool | list[bool] = True
    strategy: Literal["sort", "random"] = "sort"
    random_seed: int = 42

    def __post_init__(self) -> None:
        if isinstance(self.ascending, bool):
            self.ascending = [self.ascending] * len(self.metadata_cols)
        if len(self.ascending) != len(self.metadata_cols):
            raise ValueError(
                f"Length of ascending ({len(self.ascending)}) must match metadata_cols ({len(self.metadata_cols)})"
            )
        if self.strategy not in ("sort", "random"):
            raise ValueError(f"Invalid strategy: {self.strategy}; wanted sort or random")

    @classmethod
    def metadata_based(
        cls, metadata_cols: list[str], ascending: bool | list[bool] = True, random_seed: int = 42
    ) -> RankingStrategy:
        """Order by columns."""
        return cls(metadata_cols, ascending, "sort", random_seed)

    @classmethod
    def random(cls, random_seed: int = 42) -> RankingStrategy:
        """Order at random, the same way in every run."""
        return cls([], [], "random", random_seed)

    def rank_cluster(self, cluster_df: pd.DataFrame) -> pd.DataFrame:
        """Put the rows of a cluster into the order; the one that stays in any case is the first."""
        if self.strategy == "random":
            order = np.random.default_rng(self.random_seed).permutation(len(cluster_df))
            return cluster_df.iloc[order].reset_index(drop=True)
        self.check_columns(list(cluster_df.columns))
        if not self.metadata_cols:
            return cluster_df.reset_index(drop=True)
        return cluster_df.sort_values(self.metadata_cols, ascending=self.ascending, kind="stable", ignore_index=True)

    def check_columns(self, columns: list[str]) -> None:
        """Raise if there are not the columns that rows are ordered by."""
        if missing := [name for name in self.metadata_cols if name not in columns]:
            raise ContractError(
                f"Required columns {missing} not found in cluster data; it has {columns}. Name them in metadata_fields"
            )


def ranking_for(which_to_keep: str, distance_field: str, id_field: str, random_seed: int = 42) -> RankingStrategy:
    """What `which_to_keep` stands for: "hard" keeps what is far from the centre, "easy" what is near it."""
    if which_to_keep == "random":
        return RankingStrategy.random(random_seed)
    if which_to_keep not in ("hard", "easy"):
        raise ValueError(f"which_to_keep is {which_to_keep!r}; wanted hard, easy or random")
    return RankingStrategy.metadata_based([distance_field, id_field], ascending=which_to_keep == "easy")
