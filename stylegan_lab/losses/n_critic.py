"""n_critic: the number of discriminator steps per generator step."""

from typing import Protocol

from stylegan_lab.errors import check_at_least


class GeneratorSchedule(Protocol):
    """Returns whether the generators are updated in an iteration. Iterations are counted from 1. Discriminators are updated in
    every iteration, each time on a new batch."""

    def __call__(self, iteration: int) -> bool: ...


class FixedNCritic:
    """One generator step after every `n_critic` discriminator steps."""

    def __init__(self, n_critic: int) -> None:
        check_at_least("loss.n_critic", n_critic, 1)
        self.n_critic = n_critic

    def __call__(self, iteration: int) -> bool:
        return iteration % self.n_critic == 0


class WGANSchedule:
    """The schedule of the published WGAN code (Arjovsky et al., 2017).

    A generator step follows `n_critic` discriminator steps. It follows `warmup_n_critic` discriminator steps instead if it is one
    of the first `warmup_steps` generator steps, or if its number, counted from 0, is a multiple of `warmup_every`.
    """

    def __init__(
        self, n_critic: int = 5, warmup_n_critic: int = 100, warmup_steps: int = 25, warmup_every: int = 500
    ) -> None:
        check_at_least("loss.n_critic.n_critic", n_critic, 1)
        check_at_least("loss.n_critic.warmup_n_critic", warmup_n_critic, 1)
        check_at_least("loss.n_critic.warmup_steps", warmup_steps, 1)
        check_at_least("loss.n_critic.warmup_every", warmup_every, warmup_steps)
        self.n_critic, self.warmup_n_critic = n_critic, warmup_n_critic
        self.warmup_steps, self.warmup_every = warmup_steps, warmup_every

    def __call__(self, iteration: int) -> bool:
        first_period = self._period(self.warmup_steps)
        if iteration <= first_period:
            return self._is_generator_step(iteration, self.warmup_steps)
        return self._is_generator_step((iteration - first_period - 1) % self._period(1) + 1, 1)

    def _period(self, warmup_steps: int) -> int:
        """Return the number of iterations in one period of `warmup_every` generator steps, of which the first `warmup_steps`
        use `warmup_n_critic`."""
        return warmup_steps * self.warmup_n_critic + (self.warmup_every - warmup_steps) * self.n_critic

    def _is_generator_step(self, iteration: int, warmup_steps: int) -> bool:
        after_warmup = iteration - warmup_steps * self.warmup_n_critic
        return iteration % self.warmup_n_critic == 0 if after_warmup <= 0 else after_warmup % self.n_critic == 0
