/** The job file the demo runs; CITIES_URL, DATABASE_URL and SCHEMA are put in as from an environment. */
export const demoJob = `
source:
  http:
    url: "\${CITIES_URL}"
    pagination: { style: page, param: _page, size: { param: _limit, value: 100 }, total: { header: X-Total-Count } }
    parallel: 8
columns:
  id: cityId
  name: name
  country: country
  population: population
  lon: "loc.coordinates[0]"
  lat: "loc.coordinates[1]"
sink:
  postgres: { url: "\${DATABASE_URL}", table: "\${SCHEMA}.cities", mode: upsert, key: [id], create: true }
`;
