// Right ascension and declination, degrees, of the pixel (x, y), the first of which is (0, 0): the
// gnomonic projection (FITS Paper II) behind the distortion polynomials of the SIP convention.
function skyOf(wcs, x, y) {
  const rad = Math.PI / 180;
  const [u, v] = [x + 1 - wcs.crpix[0], y + 1 - wcs.crpix[1]];
  const bent = (terms) => terms.reduce((sum, [p, q, value]) => sum + value * u ** p * v ** q, 0);
  const [dx, dy] = [u + bent(wcs.a || []), v + bent(wcs.b || [])];
  const xi = (wcs.cd[0][0] * dx + wcs.cd[0][1] * dy) * rad;
  const eta = (wcs.cd[1][0] * dx + wcs.cd[1][1] * dy) * rad;
  const [ra0, dec0] = wcs.crval.map((one) => one * rad);
  const low = Math.cos(dec0) - eta * Math.sin(dec0);
  const ra = (ra0 + Math.atan2(xi, low)) / rad;
  const dec = Math.atan2(Math.sin(dec0) + eta * Math.cos(dec0), Math.hypot(xi, low)) / rad;
  return [((ra % 360) + 360) % 360, dec];
}
