import { DataSource } from 'typeorm';
import { ENTITIES } from '../src/catalogue/entities/index.js';
import { MIGRATIONS } from './index.js';

const url = process.env['DATABASE_URL'];
if (!url) {
  process.stderr.write('set DATABASE_URL to a Postgres server: migrations are generated against its schema\n');
  process.exit(1);
}

/** For the TypeORM command line on built code (`npm run migration:generate`); it needs a real server. */
export default new DataSource({
  type: 'postgres',
  url,
  entities: ENTITIES,
  migrations: MIGRATIONS,
  synchronize: false,
});
