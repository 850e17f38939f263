"""Maps as priors: a GeoTIFF of ground displacement read into weights of the epicentre."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from scipy.ndimage import gaussian_filter

from lithoscope.errors import DataError
from lithoscope.location.priors import MapPrior

Array = NDArray[np.float64]

# Tags of GeoTIFF 1.1 (OGC 19-008r4, annex B) and of GDAL.
_PIXEL_SCALE, _TIE_POINT, _GEO_KEYS, _NO_DATA = 33550, 33922, 34735, 42113
_TAGS = (_PIXEL_SCALE, _TIE_POINT, _GEO_KEYS, _NO_DATA)
_MODEL_TYPE_KEY, _RASTER_TYPE_KEY, _GEOGRAPHIC, _PIXEL_IS_POINT = 1024, 1025, 2, 2
_KM_PER_DEGREE = 111.2


def read_geotiff(path: str | Path) -> tuple[Array, Array, Array]:
    """Read a single-band GeoTIFF in geographic coordinates.

    Returns
    -------
    longitude, latitude
        Centres of the pixels, both ascending, degrees.
    values
        ``(ny, nx)``; NaN where there is no data (NaN, the file's no-data value, or exactly 0).

    Raises
    ------
    DataError
        If the file is no TIFF, has several bands, no position, or a projected one.
    """
    path = Path(path)
    try:
        with Image.open(path) as image:
            values = np.array(image, dtype=float)
            found: Any = getattr(image, "tag_v2", {})
            tags = {key: found.get(key) for key in _TAGS}
    except (OSError, UnidentifiedImageError) as error:
        raise DataError(f"{path}: cannot be read as GeoTIFF ({error})") from None
    scale, tie, keys = tags[_PIXEL_SCALE], tags[_TIE_POINT], tags[_GEO_KEYS]
    if values.ndim != 2:
        raise DataError(f"{path}: has {values.ndim} dimensions; a single band is needed")
    if scale is None or tie is None:
        raise DataError(f"{path}: has no pixel scale or tie point; write it as a north-up GeoTIFF")
    geo = {keys[k]: keys[k + 3] for k in range(4, len(keys), 4)} if keys else {}
    if geo.get(_MODEL_TYPE_KEY, _GEOGRAPHIC) != _GEOGRAPHIC:
        raise DataError(f"{path}: is in a projection; reproject it to longitude and latitude")
    shift = 0.0 if geo.get(_RASTER_TYPE_KEY) == _PIXEL_IS_POINT else 0.5
    ny, nx = values.shape
    longitude = tie[3] + (np.arange(nx) - tie[0] + shift) * scale[0]
    latitude = tie[4] - (np.arange(ny) - tie[1] + shift) * scale[1]
    missing = ~np.isfinite(values) | (values == 0.0)
    if tags[_NO_DATA] is not None:
        missing |= values == float(tags[_NO_DATA])
    values[missing] = np.nan
    return longitude, latitude[::-1], values[::-1]


def displacement_weights(displacement: Array, smoothing_cells: float) -> Array:
    """Turn a map of ground displacement into weights of the epicentre.

    A shallow earthquake starts on the fault that moved the ground, so places with displacement are
    likelier epicentres. As implemented: the median (ramp, reference) is taken off; what stays
    within three robust standard deviations (1.48 x median absolute deviation) is noise and counts
    nothing; the rest is ``|d|``; a Gaussian filter then allows for a rupture that began beside the
    largest displacement. Missing pixels count as unknown, not as zero.

    Parameters
    ----------
    displacement
        ``(ny, nx)``, any unit; NaN = no data.
    smoothing_cells
        Standard deviation of the filter in cells.

    Raises
    ------
    DataError
        If nothing stands out of the noise.
    """
    known = np.isfinite(displacement)
    centred = displacement - np.nanmedian(displacement)
    noise = 3.0 * 1.48 * float(np.nanmedian(np.abs(centred)))
    strength = np.where(known, np.maximum(np.abs(centred) - noise, 0.0), 0.0)
    if not strength.max() > 0:
        raise DataError(
            f"displacement map: nothing exceeds three standard deviations of noise ({noise:.3g}); "
            "it cannot serve as a prior"
        )
    share = gaussian_filter(known.astype(float), smoothing_cells)
    smooth = gaussian_filter(strength, smoothing_cells)
    return np.where(share > 0.05, smooth / np.maximum(share, 0.05), np.nan)


def read_map_prior(
    path: str | Path,
    *,
    cell_km: float = 0.25,
    smoothing_km: float = 1.0,
    background: float = 0.01,
) -> MapPrior:
    """Read a GeoTIFF of ground displacement (InSAR) as a prior of the epicentre.

    Parameters
    ----------
    path
        Single-band GeoTIFF in longitude and latitude; 0 and NaN are no data.
    cell_km
        Pixels are averaged to about this size.
    smoothing_km
        How far from the displacement the rupture may have started (1 sigma).
    background
        Weight off the map or where it shows nothing, as a fraction of the largest.

    Raises
    ------
    DataError
        See `read_geotiff` and `displacement_weights`.
    """
    longitude, latitude, values = read_geotiff(path)
    stretch = np.cos(np.radians(latitude.mean()))
    step_x = max(1, round(cell_km / (_KM_PER_DEGREE * stretch * np.diff(longitude).mean())))
    step_y = max(1, round(cell_km / (_KM_PER_DEGREE * np.diff(latitude).mean())))
    ny, nx = values.shape[0] // step_y, values.shape[1] // step_x
    if min(nx, ny) < 2:
        raise DataError(f"{path}: smaller than two cells of {cell_km} km; lower cell_km")
    blocks = values[: ny * step_y, : nx * step_x].reshape(ny, step_y, nx, step_x)
    counts = np.isfinite(blocks).sum(axis=(1, 3))
    sums = np.nansum(blocks, axis=(1, 3))
    averaged = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    lon = longitude[: nx * step_x].reshape(nx, step_x).mean(axis=1)
    lat = latitude[: ny * step_y].reshape(ny, step_y).mean(axis=1)
    weights = displacement_weights(averaged, smoothing_km / cell_km)
    return MapPrior(lon, lat, weights, background)
