import { DataSource } from 'typeorm';
import { ENTITIES } from '../src/catalogue/entities/index.js';
import { MIGRATIONS } from './index.js';

/** For the TypeORM command line on built code (`npm run migration:generate`); it needs a real server. */
export default new DataSource({
  type: 'postgres',
  url: process.env['DATABASE_URL'] ?? '',
  entities: ENTITIES,
  migrations: MIGRATIONS,
  synchronize: false,
});
