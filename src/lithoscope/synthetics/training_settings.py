"""Physical ranges of the training seismograms, each with its unit and meaning."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SyntheticSettings:
    """Ranges from which `synthesize` draws; a pair is (smallest, largest), a part is 0 to 1.

    Attributes
    ----------
    event_count_parts
        Parts of the traces with 0, 1, 2 and 3 earthquakes.
    outside_parts
        For the first earthquake of a trace: part whose P lies before the window (S inside where
        S-P is long enough), and part of which only coda reaches the window.
    spacing_s
        Time from one earthquake of a trace to the next, log-uniform.
    same_source_part
        Part of the later earthquakes that come from the place of the first.
    s_minus_p_s
        S-P time, log-uniform.
    magnitude
        Moment magnitudes; those too small or too large to be recorded at the distance are left
        out.
    stress_drop_mpa
        Median and factor of one standard deviation (log-normal).
    shear_velocity_km_s
        At the source, for the corner frequency.
    vp_vs
        Velocity ratio along the path.
    p_velocity_km_s
        Mean along the path.
    q_s
        Quality factor of S along the path, log-uniform; of P 1 to 2.2 times that.
    kappa_s
        Attenuation t* under the station for S, s, log-uniform; for P about 0.6 of it.
    site_hz, site_gain
        Frequencies and gains of the resonances under the station (two on each of vertical and
        horizontal).
    explosion_part
        Part of the sources that radiate mostly P.
    head_wave_part, conversion_part, reflection_part, subevent_part, surface_wave_part
        Part of the earthquakes with each.
    coda_q
        Q of the coda at 1 Hz, log-uniform.
    coda_exponent
        It grows with frequency to this power.
    p_snr_db
        Median and standard deviation of the part `low_snr_part` of the earthquakes, dB.
    high_snr_db
        Range of the others, uniform.
    low_snr_part
        See `p_snr_db`.
    snr_limits_db
        Signal-to-noise ratios outside are moved to the limit.
    ignore_below_db
        A trainer may ignore the neighbourhood of onsets below this.
    vertical_only_part
        Part of the traces without horizontals.
    nuisance_part
        Mean number of nuisance signals per trace.
    fault_part
        Part of the traces with a fault of the recording (gap, clipping, dead component ...).
    accelerometer_part
        Part of the traces that are acceleration.
    real_noise_part
        Part of the traces on real noise where a pool is given.
    linear_phase_part
        Part of the traces recorded at 100 Hz or more with the digitiser's linear-phase filter,
        which rings faintly ahead of sharp onsets (Scherbaum & Bouin 1997); traces recorded at
        lower rates always have it unless this is 0.
    unit_decades
        Powers of ten of the amplitude unit.
    """

    event_count_parts: tuple[float, float, float, float] = (0.2, 0.55, 0.17, 0.08)
    outside_parts: tuple[float, float] = (0.1, 0.07)
    spacing_s: tuple[float, float] = (1.0, 40.0)
    same_source_part: float = 0.7
    s_minus_p_s: tuple[float, float] = (0.05, 40.0)
    magnitude: tuple[float, float] = (-1.0, 6.0)
    stress_drop_mpa: tuple[float, float] = (4.0, 4.0)
    shear_velocity_km_s: tuple[float, float] = (2.0, 3.7)
    vp_vs: tuple[float, float] = (1.6, 2.0)
    p_velocity_km_s: tuple[float, float] = (3.5, 6.8)
    q_s: tuple[float, float] = (60.0, 1500.0)
    kappa_s: tuple[float, float] = (0.003, 0.06)
    site_hz: tuple[float, float] = (0.8, 25.0)
    site_gain: tuple[float, float] = (0.6, 4.0)
    explosion_part: float = 0.07
    head_wave_part: float = 0.3
    conversion_part: float = 0.6
    reflection_part: float = 0.6
    subevent_part: float = 0.6
    surface_wave_part: float = 0.3
    coda_q: tuple[float, float] = (30.0, 300.0)
    coda_exponent: tuple[float, float] = (0.6, 1.0)
    p_snr_db: tuple[float, float] = (9.0, 7.0)
    high_snr_db: tuple[float, float] = (15.0, 60.0)
    low_snr_part: float = 0.65
    snr_limits_db: tuple[float, float] = (-6.0, 60.0)
    ignore_below_db: float = 3.0
    vertical_only_part: float = 0.12
    nuisance_part: float = 0.6
    fault_part: float = 0.15
    accelerometer_part: float = 0.12
    real_noise_part: float = 0.7
    linear_phase_part: float = 0.4
    unit_decades: tuple[float, float] = (-9.0, 9.0)
